"""What every backbone is."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from snellen.errors import ConfigError, did_you_mean
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD
from snellen.structures import FeatureSpec

__all__ = ["Backbone", "freeze_stages", "picked_features", "told_features"]


class Backbone(nn.Module):
    """A network from normalised images to maps at several strides.

    Subclasses set ``features`` and implement ``forward`` and ``stage_modules``.

    Attributes:
        features: The maps that ``forward`` returns, finest first.
        inner: Maps between them that auxiliary heads stand on; a backbone that has any returns them, too, when it is
            called with ``inner=True``.
        least_size: Smallest side in pixels of a canvas on which every map has a cell.
        foreign_names: Pairs of a regular expression and its replacement that turn the keys of the published
            weights into ours.
        mean: Of R, G, B as the published weights were trained, where 1 is full scale.
        std: Spread of R, G, B as the published weights were trained, where 1 is full scale.
    """

    features: tuple[FeatureSpec, ...]
    inner: tuple[FeatureSpec, ...] = ()
    least_size: int = 1
    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = ()
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return a map of ``ceil(size / stride)`` rows and columns for each of ``features``, by name."""
        raise NotImplementedError

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        raise NotImplementedError


def freeze_stages(backbone: Backbone, *, up_to: str) -> None:
    """Stop the gradient of every parameter up to and with the stage that ends in feature ``up_to``.

    Batch norms keep updating their statistics; build the backbone with ``FrozenBatchNorm`` to stop those too.

    Args:
        backbone: Changed in place.
        up_to: For instance ``"c2"``, which is what torchvision's detectors freeze.

    Raises:
        ConfigError: If there is no such feature.
    """
    names = [spec.name for spec in backbone.features]
    if up_to not in names:
        raise ConfigError(
            f"cannot freeze up to {up_to!r}: the backbone has no such feature.{did_you_mean(up_to, names)}"
        )
    stages = backbone.stage_modules()
    for name in names[: names.index(up_to) + 1]:
        for module in stages[name]:
            module.requires_grad_(requires_grad=False)


def picked_features(backbone: Backbone, names: Sequence[str], *, inner: bool = False) -> tuple[FeatureSpec, ...]:
    """Return the specifications of the features ``names``, in that order.

    Args:
        backbone: Whose they are.
        names: Of its ``features``.
        inner: Whether its ``inner`` maps are known, too.

    Raises:
        ConfigError: If the backbone lacks one of them.
    """
    known = (*backbone.inner, *backbone.features) if inner else backbone.features
    specs = {spec.name: spec for spec in known}
    for name in names:
        if name not in specs:
            raise ConfigError(
                f"the backbone has no feature {name!r}; it has {told_features(known)}, and "
                f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} needed. Choose a backbone that has them."
            )
    return tuple(specs[name] for name in names)


def told_features(features: Sequence[FeatureSpec]) -> str:
    """Return names and strides of features in words."""
    return ", ".join(f"{spec.name} (stride {spec.stride})" for spec in features)
