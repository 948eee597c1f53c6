"""Networks cut in two, as detectors on one map use them: convolutions for the image, full connections for regions."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from snellen.models.backbones import (
    ALEXNET_POOLED,
    VGG_POOLED,
    Backbone,
    FcPair,
    MobileNetV2,
    caffenet,
    fc_pair_names,
    mobilenet_v2,
    picked_features,
    vgg16,
    zfnet,
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
    "vgg16_map",
    "zf_map",
]

SmallMap = Literal["c3", "c4", "c5"]
_HEAD = "region_head.fc."
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


def caffenet_map(*, norm: Norm | None = None) -> OneMap:
    """Return CaffeNet: "S" in Fast R-CNN."""
    return OneMap(backbone=caffenet(norm=norm), pooled_size=ALEXNET_POOLED, width=_FC_WIDTH)


def zf_map(*, norm: Norm | None = None) -> OneMap:
    """Return ZF, the small network of Faster R-CNN."""
    return OneMap(backbone=zfnet(norm=norm), pooled_size=ALEXNET_POOLED, width=_FC_WIDTH)


def vgg16_map(*, norm: Norm | None = None) -> OneMap:
    """Return VGG-16: "L" in Fast R-CNN; reads torchvision's ``vgg16``, fc6 and fc7 with it."""
    return OneMap(
        backbone=vgg16(norm=norm),
        pooled_size=VGG_POOLED,
        width=_FC_WIDTH,
        head_names=fc_pair_names("vgg", _HEAD),
    )


def mobilenet_v2_map(
    *,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    feature: SmallMap = "c4",
    pooling: Pooling = "roi_pool",
) -> OneMap:
    """Return MobileNetV2 up to a map, and two narrow fully connected layers.

    Args:
        norm: Makes a norm layer from the number of channels.
        padding: See ``mobilenet_v2``.
        feature: The map: ``c3``, ``c4`` or ``c5``, at stride 8, 16 or 32.
        pooling: How regions are pooled; see ``SingleMapPool``.
    """
    backbone = mobilenet_v2_until(feature, norm=norm, padding=padding)
    return OneMap(backbone=backbone, pooled_size=VGG_POOLED, width=_SMALL_WIDTH, map_name=feature, pooling=pooling)


def mobilenet_v2_until(
    feature: SmallMap = "c4", *, norm: Norm = nn.BatchNorm2d, padding: Padding = "torch"
) -> MobileNetV2:
    """Return MobileNetV2 without what comes after a map.

    Raises:
        ConfigError: If there is no such map.
    """
    backbone = mobilenet_v2(norm=norm, padding=padding)
    picked_features(backbone, [feature])
    stages = backbone.stage_modules()
    kept = [name for name in stages if name <= feature]
    backbone.blocks = backbone.blocks[: sum(len(stages[name]) for name in kept)]
    backbone.features = picked_features(backbone, kept)
    return backbone
