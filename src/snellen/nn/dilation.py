"""Dilation in the place of strides: finer maps from the same weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from torch import nn

from snellen.errors import ConfigError

__all__ = ["Step", "dilate_entry", "dilated_steps", "spread_blocks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How a block samples its input.

    Attributes:
        stride: Step in pixels of the layer that holds the block's stride.
        entering: Dilation of that layer, which still sees the grid of the input.
        dilation: Of the layers behind it, which see the grid of the output.
    """

    stride: int = 1
    entering: int = 1
    dilation: int = 1

    @property
    def following(self) -> "Step":
        """How the blocks behind this one sample, which keep the size of the map."""
        return Step(entering=self.dilation, dilation=self.dilation)


def dilated_steps(strides: Sequence[int], *, start: int, output_stride: int | None) -> tuple[Step, ...]:
    """Return the step of the first block of each stage of a network whose maps end at ``output_stride``.

    A stage that would go beyond it keeps its size, and every layer behind the one that had the stride is dilated by
    that stride: at the places that the strided network visits it computes what the strided network does ("à trous").

    Args:
        strides: Of each stage, as published.
        start: Stride in pixels of the map that the first stage reads.
        output_stride: Greatest stride in pixels of any map; None for the network as published.

    Raises:
        ConfigError: If no stage ends at ``output_stride``.

    Source:
        Chen et al. 2014, section 3.1, https://arxiv.org/abs/1412.7062; Yu & Koltun 2017, section 3,
        https://arxiv.org/abs/1705.09914. What torchvision calls ``replace_stride_with_dilation``.
    """
    reached = [start * prod(strides[:number]) for number in range(len(strides) + 1)]
    if output_stride is not None and output_stride not in reached:
        allowed = ", ".join(map(str, sorted(set(reached))))
        raise ConfigError(f"output_stride must be one of {allowed} for this network; got {output_stride}.")
    steps = []
    total, dilation = start, 1
    for stride in strides:
        is_kept = output_stride is not None and total * stride > output_stride
        entering = dilation
        dilation = dilation * stride if is_kept else dilation
        total = total if is_kept else total * stride
        steps.append(Step(stride=1 if is_kept else stride, entering=entering, dilation=dilation))
    return tuple(steps)


def dilate_entry(stage: Sequence[nn.Module]) -> None:
    """Give the first kernel of a dilated stage the dilation of those behind it.

    That one sees the grid of the stage before, and ``dilated_steps`` leaves it alone; segmentation_models_pytorch and
    torchvision's MobileNetV3 do not, and weights that were trained so want it.

    Args:
        stage: Modules of a backbone's stage; changed in place. A stage that is not dilated stays as it is.
    """
    convs = [conv for module in stage for conv in _spatial_convs(module)]
    if convs:
        _dilate(convs[:1], max(1, convs[-1].dilation[0] // convs[0].dilation[0]))


def spread_blocks(stage: Sequence[nn.Module], multi_grid: Sequence[int]) -> None:
    """Multiply the dilation of every block of a stage by a number of its own ("multi-grid").

    Blocks are the modules of the stage, or those of a sequence that is one of them, that hold a kernel larger than 1.

    Args:
        stage: Modules of a backbone's stage; changed in place. Maps keep their sizes.
        multi_grid: A factor for each block, first to last; (1, 2, 4) in the paper.

    Raises:
        ConfigError: If there is not one factor for each block, or one is below 1.

    Source:
        Chen et al. 2017, section 3.2 ("Multi-grid Method"), https://arxiv.org/abs/1706.05587.
    """
    parts = [part for module in stage for part in (module if type(module) is nn.Sequential else (module,))]
    blocks = [convs for part in parts if (convs := _spatial_convs(part))]
    if len(blocks) != len(multi_grid) or min(multi_grid, default=1) < 1:
        raise ConfigError(
            f"multi_grid needs a whole number of 1 or more for each of the {len(blocks)} blocks of the last stage; got "
            f"{list(multi_grid)}."
        )
    for convs, factor in zip(blocks, multi_grid, strict=True):
        _dilate(convs, factor)


def _dilate(convs: Sequence[nn.Conv2d], factor: int) -> None:
    for conv in convs:
        conv.dilation = (conv.dilation[0] * factor, conv.dilation[1] * factor)
        if not isinstance(conv.padding, str):
            conv.padding = (conv.padding[0] * factor, conv.padding[1] * factor)


def _spatial_convs(module: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d) and max(layer.kernel_size) > 1]
