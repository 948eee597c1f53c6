"""The two blocks of ResNet, which its relatives make wider, group, gate or dilate."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.nn import ConvNormAct, Gate, Norm, PaddedShortCut, ShortCut, Step, begin_at_zero, conv_norm

__all__ = ["BasicBlock", "BlockDesign", "Bottleneck", "resnet_stage"]

_GROUP_WIDTH = 64  # channels of the 3×3 convolution of ResNet's first stage


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDesign:
    """What the relatives of ResNet change in a block.

    Attributes:
        groups: Of the 3×3 convolution of a bottleneck: ResNeXt's cardinality.
        group_width: Channels of each group in the first stage; 64 in ResNet, 128 in Wide ResNet, 4 or 8 in ResNeXt.
        gate: Makes what weighs the channels of the residual from their number, or None for none.
        short_cut: What takes the place of the identity where size or depth change; ``"none"`` leaves out all short
            cuts.
    """

    groups: int = 1
    group_width: int = _GROUP_WIDTH
    gate: Gate | None = None
    short_cut: ShortCut = "projection"


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a short cut.

    Args:
        in_channels: Depth of the input.
        width: Depth of the convolutions and of the output.
        step: How the first convolution samples.
        norm: Makes the norm layer from the number of channels.
        design: Its gate and short cut are used.

    Raises:
        ConfigError: If the design is one of bottlenecks.

    Source:
        He et al. 2015, figure 5 left, https://arxiv.org/abs/1512.03385.
    """

    expansion: ClassVar[int] = 1

    def __init__(
        self, in_channels: int, width: int, *, step: Step, norm: Norm, design: BlockDesign | None = None
    ) -> None:
        super().__init__()
        design = BlockDesign() if design is None else design
        if design.groups != 1 or design.group_width != _GROUP_WIDTH:
            raise ConfigError(
                f"a block of two 3 x 3 convolutions has 1 group of {_GROUP_WIDTH} channels; got {design.groups} of "
                f"{design.group_width}. Choose a network of bottlenecks."
            )
        self.conv1 = nn.Conv2d(in_channels, width, 3, step.stride, step.entering, step.entering, bias=False)
        self.bn1 = norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, step.dilation, step.dilation, bias=False)
        self.bn2 = norm(width)
        self.se = None if design.gate is None else design.gate(width)
        self.downsample = _short_cut(in_channels, width, step, norm, design.short_cut)
        self.is_plain = design.short_cut == "none"

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return ``relu(x + residual(x))``."""
        residual = self.relu(conv_norm(self.conv1, self.bn1, x))
        return _joined(self, x, conv_norm(self.conv2, self.bn2, residual))

    def silence(self) -> None:
        """Make the residual zero; a block without a short cut keeps it."""
        if not self.is_plain:
            begin_at_zero(self.bn2)


class Bottleneck(nn.Module):
    """1×1 down, 3×3 (which holds the stride), 1×1 up, and a short cut.

    Args:
        in_channels: Depth of the input.
        width: A quarter of the depth of the output; the depth of the 3×3 convolution in ResNet.
        step: How the 3×3 convolution samples.
        norm: Makes the norm layer from the number of channels.
        design: Groups, width, gate and short cut.

    Source:
        He et al. 2015, figure 5 right, https://arxiv.org/abs/1512.03385. Differs as torchvision does: the
        stride is in the 3×3 convolution ("ResNet v1.5"). Groups: Xie et al. 2016, figure 3 c,
        https://arxiv.org/abs/1611.05431.
    """

    expansion: ClassVar[int] = 4

    def __init__(
        self, in_channels: int, width: int, *, step: Step, norm: Norm, design: BlockDesign | None = None
    ) -> None:
        super().__init__()
        design = BlockDesign() if design is None else design
        inner = width * design.group_width // _GROUP_WIDTH * design.groups
        out_channels = width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = norm(inner)
        self.conv2 = nn.Conv2d(
            inner, inner, 3, step.stride, step.entering, step.entering, groups=design.groups, bias=False
        )
        self.bn2 = norm(inner)
        self.conv3 = nn.Conv2d(inner, out_channels, 1, bias=False)
        self.bn3 = norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.se = None if design.gate is None else design.gate(out_channels)
        self.downsample = _short_cut(in_channels, out_channels, step, norm, design.short_cut)
        self.is_plain = design.short_cut == "none"

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return ``relu(x + residual(x))``."""
        residual = self.relu(conv_norm(self.conv1, self.bn1, x))
        residual = self.relu(conv_norm(self.conv2, self.bn2, residual))
        return _joined(self, x, conv_norm(self.conv3, self.bn3, residual))

    def silence(self) -> None:
        """Make the residual zero; a block without a short cut keeps it."""
        if not self.is_plain:
            begin_at_zero(self.bn3)


Block = type[BasicBlock] | type[Bottleneck]


def resnet_stage(
    block: Block,
    in_channels: int,
    width: int,
    *,
    num_blocks: int,
    stride: int | Step,
    norm: Norm = nn.BatchNorm2d,
    design: BlockDesign | None = None,
) -> nn.Sequential:
    """Return a stage of blocks (C4 detectors use one as their head).

    Args:
        block: The kind of block.
        in_channels: Depth of the input.
        width: See the blocks.
        num_blocks: At least 1.
        stride: Of the first block, or how it samples.
        norm: Makes a norm layer from the number of channels.
        design: What is changed in every block.
    """
    step = stride if isinstance(stride, Step) else Step(stride=stride)
    blocks = [block(in_channels, width, step=step, norm=norm, design=design)]
    channels = width * block.expansion
    blocks += [block(channels, width, step=step.following, norm=norm, design=design) for _ in range(num_blocks - 1)]
    return nn.Sequential(*blocks)


def _joined(block: BasicBlock | Bottleneck, x: Tensor, residual: Tensor) -> Tensor:
    if block.se is not None:
        residual = block.se(residual)
    if not block.is_plain:
        residual += x if block.downsample is None else block.downsample(x)
    return block.relu(residual)  # type: ignore[no-any-return]  # nn.Module's call is untyped


def _short_cut(in_channels: int, out_channels: int, step: Step, norm: Norm, kind: ShortCut) -> nn.Module | None:
    if kind == "none" or (step.stride == 1 and in_channels == out_channels):
        return None
    if kind == "padded":
        return PaddedShortCut(out_channels - in_channels, stride=step.stride)
    return ConvNormAct(in_channels, out_channels, kernel=1, stride=step.stride, norm=norm, activation=None)
