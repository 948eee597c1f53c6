"""ResNeXt: ResNets of grouped bottlenecks, with torchvision's keys less the classifier."""

from torch import nn

from snellen.models.backbones.resnet import RESNET_DEPTHS, ResNet
from snellen.models.backbones.resnet_blocks import BlockDesign, Bottleneck
from snellen.nn import Norm

__all__ = ["resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"]


def resnext50_32x4d(
    *, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False
) -> ResNet:
    """Return ResNeXt-50 of 32 groups of 4 channels.

    Source:
        Xie et al. 2016, table 1, https://arxiv.org/abs/1611.05431.
    """
    design = BlockDesign(groups=32, group_width=4)
    return ResNet(
        Bottleneck, RESNET_DEPTHS[50], norm=norm, design=design, output_stride=output_stride, zero_init=zero_init
    )


def resnext101_32x8d(
    *, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False
) -> ResNet:
    """Return ResNeXt-101 of 32 groups of 8 channels.

    Source:
        Xie et al. 2016, https://arxiv.org/abs/1611.05431; of this width: Mahajan et al. 2018, section 2.3,
        https://arxiv.org/abs/1805.00932.
    """
    design = BlockDesign(groups=32, group_width=8)
    return ResNet(
        Bottleneck, RESNET_DEPTHS[101], norm=norm, design=design, output_stride=output_stride, zero_init=zero_init
    )


def resnext101_64x4d(
    *, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False
) -> ResNet:
    """Return ResNeXt-101 of 64 groups of 4 channels.

    Source:
        Xie et al. 2016, table 4, https://arxiv.org/abs/1611.05431.
    """
    design = BlockDesign(groups=64, group_width=4)
    return ResNet(
        Bottleneck, RESNET_DEPTHS[101], norm=norm, design=design, output_stride=output_stride, zero_init=zero_init
    )
