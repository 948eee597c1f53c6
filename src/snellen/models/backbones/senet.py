"""SE-ResNet and SE-ResNeXt, with the keys of timm's networks less the classifier."""

from torch import nn

from snellen.models.backbones.resnet import RESNET_DEPTHS, ResNet
from snellen.models.backbones.resnet_blocks import BasicBlock, Block, BlockDesign, Bottleneck
from snellen.nn import Norm, squeezed_by

__all__ = [
    "seresnet18",
    "seresnet34",
    "seresnet50",
    "seresnet101",
    "seresnet152",
    "seresnext50_32x4d",
    "seresnext101_32x4d",
]

# The paper's reduction by 16 (section 6.1); timm squeezes to 8 channels at least, which only matters at 64.
_GATE = squeezed_by(16, least=8, divisor=8)
_GATED = BlockDesign(gate=_GATE)
_GATED_GROUPS = BlockDesign(groups=32, group_width=4, gate=_GATE)


def _gated(
    block: Block, layers: int, norm: Norm, output_stride: int | None, *, zero_init: bool, design: BlockDesign = _GATED
) -> ResNet:
    """Return a residual network with squeeze and excitation behind the last norm of every residual.

    Source:
        Hu et al. 2017, figure 3 and table 1, https://arxiv.org/abs/1709.01507. Differs as timm does: the first
        stage of networks of basic blocks squeezes 64 channels to 8, not 4.
    """
    return ResNet(
        block, RESNET_DEPTHS[layers], norm=norm, design=design, output_stride=output_stride, zero_init=zero_init
    )


def seresnet18(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNet:
    """Return SE-ResNet-18."""
    return _gated(BasicBlock, 18, norm, output_stride, zero_init=zero_init)


def seresnet34(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNet:
    """Return SE-ResNet-34."""
    return _gated(BasicBlock, 34, norm, output_stride, zero_init=zero_init)


def seresnet50(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNet:
    """Return SE-ResNet-50."""
    return _gated(Bottleneck, 50, norm, output_stride, zero_init=zero_init)


def seresnet101(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNet:
    """Return SE-ResNet-101."""
    return _gated(Bottleneck, 101, norm, output_stride, zero_init=zero_init)


def seresnet152(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNet:
    """Return SE-ResNet-152."""
    return _gated(Bottleneck, 152, norm, output_stride, zero_init=zero_init)


def seresnext50_32x4d(
    *, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False
) -> ResNet:
    """Return SE-ResNeXt-50 of 32 groups of 4 channels."""
    return _gated(Bottleneck, 50, norm, output_stride, zero_init=zero_init, design=_GATED_GROUPS)


def seresnext101_32x4d(
    *, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False
) -> ResNet:
    """Return SE-ResNeXt-101 of 32 groups of 4 channels."""
    return _gated(Bottleneck, 101, norm, output_stride, zero_init=zero_init, design=_GATED_GROUPS)
