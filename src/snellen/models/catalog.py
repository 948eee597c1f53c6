"""The models that exist, by name."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import nn

from snellen.errors import ConfigError, did_you_mean
from snellen.models.backbones import chosen_backbone, normalize_for
from snellen.models.classification import ImageClassifier
from snellen.models.detection.catalog import DETECTORS
from snellen.models.entry import ModelEntry
from snellen.models.segmentation import UNet
from snellen.nn import Norm, Padding
from snellen.structures import ClassTarget, MaskTarget, Model

__all__ = ["MODELS", "find_model"]


def _classifier(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    dropout: float = 0.0,
    label_smoothing: float = 0.0,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    network = chosen_backbone(backbone, usual=usual, norm=norm, padding=padding)
    colours = normalize_for(network, mean, std)
    return ImageClassifier(
        network,
        num_classes,
        dropout=dropout,
        label_smoothing=label_smoothing,
        mean=colours.mean,
        std=colours.std,
    )


def _unet(
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    dice_weight: float = 0.0,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> UNet:
    # The decoder starts from random weights, so frozen statistics would only switch its norms off.
    network = chosen_backbone(backbone, usual=usual, norm=norm, padding=padding)
    colours = normalize_for(network, mean, std)
    return UNet(network, num_classes, dice_weight=dice_weight, mean=colours.mean, std=colours.std)


def _on(build: Callable[..., Model], usual: str, **options: Any) -> Callable[..., Model]:
    """Return the builder of a system on its usual backbone, in whose place another may be named."""
    return partial(build, usual, backbone=usual, **options)


_RESNET_PAPER = "https://arxiv.org/abs/1512.03385"
_MOBILENET_V2_PAPER = "https://arxiv.org/abs/1801.04381"
_UNET_PAPER = "https://arxiv.org/abs/1505.04597"
_IMAGENET_SIZE = (224, 224)
_CLASSIFIER = partial(ModelEntry, target_type=ClassTarget, licence="Apache-2.0", default_size=_IMAGENET_SIZE)
_SEGMENTER = partial(
    ModelEntry, target_type=MaskTarget, licence="Apache-2.0", paper=_UNET_PAPER, default_size=(256, 256)
)

MODELS: tuple[ModelEntry, ...] = (
    _CLASSIFIER(
        name="resnet18",
        build=_on(_classifier, "resnet18"),
        summary="ResNet-18 classifier: quick to train, a good first choice",
        paper=_RESNET_PAPER,
    ),
    _CLASSIFIER(
        name="resnet34",
        build=_on(_classifier, "resnet34"),
        summary="ResNet-34 classifier",
        paper=_RESNET_PAPER,
    ),
    _CLASSIFIER(
        name="resnet50",
        build=_on(_classifier, "resnet50"),
        summary="ResNet-50 classifier: the usual yardstick",
        paper=_RESNET_PAPER,
    ),
    _CLASSIFIER(
        name="resnet101",
        build=_on(_classifier, "resnet101"),
        summary="ResNet-101 classifier",
        paper=_RESNET_PAPER,
    ),
    _CLASSIFIER(
        name="resnet152",
        build=_on(_classifier, "resnet152"),
        summary="ResNet-152 classifier",
        paper=_RESNET_PAPER,
    ),
    _CLASSIFIER(
        name="mobilenet_v2",
        build=_on(_classifier, "mobilenet_v2", dropout=0.2),  # as torchvision trains it
        summary="MobileNetV2 classifier: small and quick on a CPU",
        paper=_MOBILENET_V2_PAPER,
    ),
    _SEGMENTER(
        name="unet_resnet18",
        build=_on(_unet, "resnet18"),
        summary="U-Net with a ResNet-18 encoder: a good first choice",
    ),
    _SEGMENTER(
        name="unet_resnet34",
        build=_on(_unet, "resnet34"),
        summary="U-Net with a ResNet-34 encoder",
    ),
    _SEGMENTER(
        name="unet_resnet50",
        build=_on(_unet, "resnet50"),
        summary="U-Net with a ResNet-50 encoder",
    ),
    _SEGMENTER(
        name="unet_mobilenet_v2",
        build=_on(_unet, "mobilenet_v2"),
        summary="U-Net with a MobileNetV2 encoder: small and quick on a CPU",
    ),
    *DETECTORS,
)


def find_model(name: str) -> ModelEntry:
    """Return the row of a model.

    Raises:
        ConfigError: If there is none of that name.
    """
    rows = {entry.name: entry for entry in MODELS}
    if name not in rows:
        raise ConfigError(f"there is no model {name!r}.{did_you_mean(name, rows)}")
    return rows[name]
