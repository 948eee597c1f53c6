"""The backbones that exist, by name."""

from collections.abc import Callable, Mapping

from snellen.errors import ConfigError, did_you_mean
from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.mobilenet_v2 import mobilenet_v2
from snellen.models.backbones.resnet import resnet18, resnet34, resnet50, resnet101, resnet152

__all__ = ["BACKBONES", "find_backbone"]

BACKBONES: Mapping[str, Callable[..., Backbone]] = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "resnet152": resnet152,
    "mobilenet_v2": mobilenet_v2,
}


def find_backbone(name: str) -> Callable[..., Backbone]:
    """Return the builder of a backbone.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in BACKBONES:
        raise ConfigError(f"there is no backbone {name!r}.{did_you_mean(name, BACKBONES)}")
    return BACKBONES[name]
