"""The segmenters that exist, by name."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from snellen.models.backbones import chosen_backbone, normalize_for
from snellen.models.building import on_backbone
from snellen.models.entry import ModelEntry
from snellen.models.segmentation.unet import UNet
from snellen.nn import Norm, Padding
from snellen.structures import MaskTarget

__all__ = ["SEGMENTERS"]


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


_SEGMENTER = partial(
    ModelEntry,
    target_type=MaskTarget,
    licence="Apache-2.0",
    paper="https://arxiv.org/abs/1505.04597",
    default_size=(256, 256),
)

SEGMENTERS: tuple[ModelEntry, ...] = (
    _SEGMENTER(
        name="unet_resnet18",
        build=on_backbone(_unet, "resnet18"),
        summary="U-Net with a ResNet-18 encoder: a good first choice",
    ),
    _SEGMENTER(
        name="unet_resnet34",
        build=on_backbone(_unet, "resnet34"),
        summary="U-Net with a ResNet-34 encoder",
    ),
    _SEGMENTER(
        name="unet_resnet50",
        build=on_backbone(_unet, "resnet50"),
        summary="U-Net with a ResNet-50 encoder",
    ),
    _SEGMENTER(
        name="unet_mobilenet_v2",
        build=on_backbone(_unet, "mobilenet_v2"),
        summary="U-Net with a MobileNetV2 encoder: small and quick on a CPU",
    ),
)
