"""Dilation in the place of strides: finer maps from the same weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from snellen.errors import ConfigError

__all__ = ["Step", "dilated_steps"]


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
