"""Networks cut in two, as detectors on one map use them: convolutions for the image, full connections for regions."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from snellen.models.backbones import (
    ALEXNET_POOLED,
    VGG_POOLED,
    Backbone,
    FcPair,
    chosen_backbone,
    fc_pair_names,
    picked_features,
)
from snellen.models.detection.regions import FcHead, Pooling, SingleMapPool
from snellen.nn import Norm, Padding
from snellen.structures import FeatureSpec

__all__ = [
    "OneMap",
    "SmallMap",
    "caffenet_map",
    "mobilenet_v2_map",
    "mobilenet_v2_until",
    "one_map",
    "vgg16_map",
    "zf_map",
]

SmallMap = Literal["c3", "c4", "c5"]
_HEAD = "region_head.fc."
_SMALL = "mobilenet_v2"
_FC_WIDTH = 4096  # of fc6 and fc7 in AlexNet, ZF and VGG-16
_SMALL_WIDTH = 1024  # of fc6 and fc7 behind MobileNetV2; those of SPPNet's


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneMap:
    """The two halves of a network.

    Attributes:
        backbone: Ends in the map that regions are pooled from.
        pooled_size: Bins per side of a region, as the full connections expect them.
        width: Of the two fully connected layers.
        head_names: Where the fully connected layers lie in published weights.
        map_name: The map: by default the last convolution at stride 16, conv5_3 of VGG-16, conv5 of AlexNet and ZF.
        pooling: How regions are pooled; see ``SingleMapPool``.
    """

    backbone: Backbone
    pooled_size: int
    width: int
    head_names: tuple[tuple[str, str], ...] = ()
    map_name: str = "c4"
    pooling: Pooling = "roi_pool"

    @property
    def feature(self) -> FeatureSpec:
        """The map."""
        return picked_features(self.backbone, [self.map_name])[0]

    def region_features(self) -> SingleMapPool:
        """Return what pools regions from the map."""
        return SingleMapPool(self.feature, output_size=self.pooled_size, pooling=self.pooling)

    def head(self, num_classes: int) -> FcHead:
        """Return the second half, with new last layers."""
        return FcHead(FcPair(self.feature.channels * self.pooled_size**2, width=self.width), num_classes)


def one_map(  # noqa: PLR0913 - what the published ones differ in
    backbone: str,
    usual: str,
    *,
    norm: Norm | None,
    padding: Padding = "torch",
    pooled_size: int = VGG_POOLED,
    width: int = _FC_WIDTH,
    feature: str = "c4",
    pooling: Pooling = "roi_pool",
    head_names: tuple[tuple[str, str], ...] = (),
) -> OneMap:
    """Return a network up to a map, and two fully connected layers.

    Args:
        backbone: Name of the network. In the place of ``usual`` it ends in the map, and regions have 7 bins a side.
        usual: The one that the system is published with.
        norm: Makes a norm layer from the number of channels; None for none.
        padding: ``"same"`` for weights trained with TensorFlow.
        pooled_size: Bins per side of a region, as the full connections of ``usual`` expect them.
        width: Of the two fully connected layers.
        feature: The map.
        pooling: How regions are pooled; see ``SingleMapPool``.
        head_names: Where the fully connected layers lie in the published weights of ``usual``.

    Raises:
        ConfigError: If there is no such backbone, or it has no such map.
    """
    swapped = backbone != usual
    network = chosen_backbone(
        backbone,
        usual=usual,
        norm=norm,
        padding=padding,
        needs=(feature,),
        ends_in=feature if swapped or usual == _SMALL else None,
    )
    return OneMap(
        backbone=network,
        pooled_size=VGG_POOLED if swapped else pooled_size,
        width=width,
        head_names=() if swapped else head_names,
        map_name=feature,
        pooling=pooling,
    )


def caffenet_map(backbone: str = "caffenet", *, norm: Norm | None = None, padding: Padding = "torch") -> OneMap:
    """Return CaffeNet: "S" in Fast R-CNN; or ``backbone`` in its place."""
    return one_map(backbone, "caffenet", norm=norm, padding=padding, pooled_size=ALEXNET_POOLED)


def zf_map(backbone: str = "zfnet", *, norm: Norm | None = None, padding: Padding = "torch") -> OneMap:
    """Return ZF, the small network of Faster R-CNN; or ``backbone`` in its place."""
    return one_map(backbone, "zfnet", norm=norm, padding=padding, pooled_size=ALEXNET_POOLED)


def vgg16_map(backbone: str = "vgg16", *, norm: Norm | None = None, padding: Padding = "torch") -> OneMap:
    """Return VGG-16: "L" in Fast R-CNN; reads torchvision's ``vgg16``, fc6 and fc7 with it. Or ``backbone``."""
    return one_map(backbone, "vgg16", norm=norm, padding=padding, head_names=fc_pair_names("vgg", _HEAD))


def mobilenet_v2_map(
    backbone: str = _SMALL,
    *,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    feature: SmallMap = "c4",
    pooling: Pooling = "roi_pool",
) -> OneMap:
    """Return MobileNetV2 up to a map, and two narrow fully connected layers.

    Args:
        backbone: Name of another network in its place.
        norm: Makes a norm layer from the number of channels.
        padding: See ``mobilenet_v2``.
        feature: The map: ``c3``, ``c4`` or ``c5``, at stride 8, 16 or 32.
        pooling: How regions are pooled; see ``SingleMapPool``.
    """
    return one_map(backbone, _SMALL, norm=norm, padding=padding, width=_SMALL_WIDTH, feature=feature, pooling=pooling)


def mobilenet_v2_until(
    feature: SmallMap = "c4", *, norm: Norm = nn.BatchNorm2d, padding: Padding = "torch"
) -> Backbone:
    """Return MobileNetV2 without what comes after a map.

    Raises:
        ConfigError: If there is no such map.
    """
    return chosen_backbone(_SMALL, usual=_SMALL, norm=norm, padding=padding, needs=(feature,), ends_in=feature)
