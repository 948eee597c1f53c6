"""Wide ResNet for ImageNet, with torchvision's keys less the classifier; ``small_images.py`` has those for 32 px."""

from torch import nn

from snellen.models.backbones.resnet import RESNET_DEPTHS, ResNet
from snellen.models.backbones.resnet_blocks import BlockDesign, Bottleneck
from snellen.nn import Norm

__all__ = ["wide_resnet50_2", "wide_resnet101_2"]

_WIDE = BlockDesign(group_width=128)


def wide_resnet50_2(
    *, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False
) -> ResNet:
    """Return ResNet-50 whose 3×3 convolutions are twice as deep.

    Source:
        Zagoruyko & Komodakis 2016, section 3 ("ImageNet") and table 8, https://arxiv.org/abs/1605.07146.
    """
    return ResNet(
        Bottleneck, RESNET_DEPTHS[50], norm=norm, design=_WIDE, output_stride=output_stride, zero_init=zero_init
    )


def wide_resnet101_2(
    *, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False
) -> ResNet:
    """Return ResNet-101 whose 3×3 convolutions are twice as deep; see ``wide_resnet50_2``."""
    return ResNet(
        Bottleneck, RESNET_DEPTHS[101], norm=norm, design=_WIDE, output_stride=output_stride, zero_init=zero_init
    )
