"""Inception modules: several kernels side by side on one map."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from snellen.nn.blocks import conv_norm
from snellen.nn.norm import Norm
from snellen.nn.pooling import CeilMaxPool2d

__all__ = [
    "INCEPTION_EPS",
    "Branches",
    "InceptionConv",
    "asymmetric_convs",
    "inception_naive",
    "inception_v1",
    "inception_v2",
    "inception_v2_reduction",
    "inception_v3_8",
    "inception_v3_17",
    "inception_v3_35",
    "inception_v3_reduction_8",
    "inception_v3_reduction_17",
]

INCEPTION_EPS = 1e-3  # added to the variance by the norms of the networks that Google published


class InceptionConv(nn.Module):
    """Convolution, norm and ReLU of an Inception network.

    The keys are ``conv`` and ``bn``, as in torchvision's networks.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        kernel: Odd rows and columns in pixels.
        stride: Step in pixels.
        norm: Makes the norm layer from the number of channels; None for a bias instead, as before batch norm.
        padded: Pad half of the kernel, so that a map has ``ceil(size / stride)`` cells; else nothing.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int] = (1, 1),
        *,
        stride: int = 1,
        norm: Norm | None = nn.BatchNorm2d,
        padded: bool = True,
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if padded else 0
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=norm is None)
        self.bn = nn.Identity() if norm is None else norm(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        """Return the activated map."""
        result: Tensor = self.relu(conv_norm(self.conv, self.bn, x))
        return result


class Branches(nn.Module):
    """Parts that all read the same map; what they return is put side by side.

    Args:
        branches: By name, in the order in which their channels follow one another.
    """

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        """Return the maps of all branches along the axis of the channels."""
        return torch.cat([branch(x) for branch in self.children()], dim=1)


def asymmetric_convs(
    in_channels: int,
    out_channels: int,
    *,
    length: int,
    middle: int | None = None,
    rows_first: bool = False,
    norm: Norm | None = nn.BatchNorm2d,
) -> tuple[InceptionConv, InceptionConv]:
    """Return 1×n and n×1, in place of n×n: 2n weights for each pair of channels instead of n².

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        length: n, odd.
        middle: Depth between the two; None for ``out_channels``.
        rows_first: n×1 first.
        norm: See ``InceptionConv``.

    Source:
        Szegedy et al. 2015, section 3.2, https://arxiv.org/abs/1512.00567. It pays on maps of 12 to 20 cells a side.
    """
    between = out_channels if middle is None else middle
    kernels = ((length, 1), (1, length)) if rows_first else ((1, length), (length, 1))
    return (
        InceptionConv(in_channels, between, kernels[0], norm=norm),
        InceptionConv(between, out_channels, kernels[1], norm=norm),
    )


def inception_naive(in_channels: int, widths: Sequence[int], *, norm: Norm | None = None) -> Branches:
    """Return the module without bottlenecks: 1×1, 3×3, 5×5 and a pool side by side.

    What it returns is deeper than what it reads, for the pool keeps every channel; it is there to compare.

    Args:
        in_channels: Depth of the input.
        widths: Depths of 1×1, 3×3 and 5×5.
        norm: See ``InceptionConv``.

    Source:
        Szegedy et al. 2014, figure 2a, https://arxiv.org/abs/1409.4842.
    """
    first, second, third = widths
    return Branches(
        branch1=InceptionConv(in_channels, first, norm=norm),
        branch2=InceptionConv(in_channels, second, (3, 3), norm=norm),
        branch3=InceptionConv(in_channels, third, (5, 5), norm=norm),
        branch4=nn.MaxPool2d(3, 1, 1),
    )


def inception_v1(
    in_channels: int, widths: Sequence[int], *, kernel: int = 5, norm: Norm | None = nn.BatchNorm2d
) -> Branches:
    """Return the module with bottlenecks: 1×1 before 3×3 and 5×5, and behind the pool.

    Args:
        in_channels: Depth of the input.
        widths: 1×1; reduction and 3×3; reduction and 5×5; behind the pool: a row of the paper's table 1.
        kernel: Of the third branch: 5 in the paper, 3 in torchvision's network.
        norm: See ``InceptionConv``; None as in the paper.

    Source:
        Szegedy et al. 2014, figure 2b, https://arxiv.org/abs/1409.4842.
    """
    first, reduce3, second, reduce5, third, pooled = widths
    return Branches(
        branch1=InceptionConv(in_channels, first, norm=norm),
        branch2=_steps(in_channels, [(reduce3, 1), (second, 3)], norm),
        branch3=_steps(in_channels, [(reduce5, 1), (third, kernel)], norm),
        branch4=nn.Sequential(nn.MaxPool2d(3, 1, 1), InceptionConv(in_channels, pooled, norm=norm)),
    )


def inception_v2(
    in_channels: int, widths: Sequence[int], *, mean_pool: bool = True, norm: Norm | None = nn.BatchNorm2d
) -> Branches:
    """Return the module of BN-Inception: two 3×3 in the place of 5×5.

    Args:
        in_channels: Depth of the input.
        widths: 1×1; reduction and 3×3; reduction and double 3×3; behind the pool.
        mean_pool: Whether the pool takes the mean, else the maximum.
        norm: See ``InceptionConv``.

    Source:
        Ioffe & Szegedy 2015, appendix, figure 5, https://arxiv.org/abs/1502.03167.
    """
    first, reduce3, second, reduce_double, double, pooled = widths
    pool = nn.AvgPool2d(3, 1, 1) if mean_pool else nn.MaxPool2d(3, 1, 1)
    return Branches(
        branch1=InceptionConv(in_channels, first, norm=norm),
        branch2=_steps(in_channels, [(reduce3, 1), (second, 3)], norm),
        branch3=_steps(in_channels, [(reduce_double, 1), (double, 3), (double, 3)], norm),
        branch4=nn.Sequential(pool, InceptionConv(in_channels, pooled, norm=norm)),
    )


def inception_v2_reduction(in_channels: int, widths: Sequence[int], *, norm: Norm | None = nn.BatchNorm2d) -> Branches:
    """Return the module of BN-Inception that halves the map; its pool passes every channel on.

    Args:
        in_channels: Depth of the input.
        widths: Reduction and 3×3; reduction and double 3×3.
        norm: See ``InceptionConv``.

    Source:
        Ioffe & Szegedy 2015, appendix, figure 5 (3c and 4e), https://arxiv.org/abs/1502.03167.
    """
    reduce3, second, reduce_double, double = widths
    return Branches(
        branch2=_steps(in_channels, [(reduce3, 1), (second, 3)], norm, stride=2),
        branch3=_steps(in_channels, [(reduce_double, 1), (double, 3), (double, 3)], norm, stride=2),
        branch4=CeilMaxPool2d(3),
    )


def inception_v3_35(in_channels: int, pooled: int, *, norm: Norm | None = nn.BatchNorm2d) -> Branches:
    """Return Inception v3's module for maps of 35×35.

    Args:
        in_channels: Depth of the input.
        pooled: Depth behind the pool.
        norm: See ``InceptionConv``.

    Source:
        Szegedy et al. 2015, figure 5, https://arxiv.org/abs/1512.00567, with the 5×5 that the published network has.
    """
    return Branches(
        branch1x1=InceptionConv(in_channels, 64, norm=norm),
        branch5x5=_steps(in_channels, [(48, 1), (64, 5)], norm),
        branch3x3dbl=_steps(in_channels, [(64, 1), (96, 3), (96, 3)], norm),
        branch_pool=_mean_branch(in_channels, pooled, norm),
    )


def inception_v3_reduction_17(in_channels: int, *, norm: Norm | None = nn.BatchNorm2d, padded: bool = True) -> Branches:
    """Return Inception v3's module from 35×35 to 17×17: convolutions and pool of stride 2 side by side.

    Args:
        in_channels: Depth of the input.
        norm: See ``InceptionConv``.
        padded: See ``InceptionConv``, of what has stride 2.

    Source:
        Szegedy et al. 2015, section 5 and figure 10, https://arxiv.org/abs/1512.00567.
    """
    return Branches(
        branch3x3=InceptionConv(in_channels, 384, (3, 3), stride=2, norm=norm, padded=padded),
        branch3x3dbl=_steps(in_channels, [(64, 1), (96, 3), (96, 3)], norm, stride=2, padded=padded),
        branch_pool=nn.MaxPool2d(3, 2, int(padded)),
    )


def inception_v3_17(in_channels: int, middle: int, *, norm: Norm | None = nn.BatchNorm2d) -> Branches:
    """Return Inception v3's module for maps of 17×17: 7×7 as 1×7 and 7×1.

    Args:
        in_channels: Depth of the input.
        middle: Depth between the asymmetric convolutions.
        norm: See ``InceptionConv``.

    Source:
        Szegedy et al. 2015, figure 6 with n = 7, https://arxiv.org/abs/1512.00567.
    """
    once = nn.Sequential(
        InceptionConv(in_channels, middle, norm=norm),
        *asymmetric_convs(middle, 192, length=7, middle=middle, norm=norm),
    )
    twice = nn.Sequential(
        InceptionConv(in_channels, middle, norm=norm),
        *asymmetric_convs(middle, middle, length=7, rows_first=True, norm=norm),
        *asymmetric_convs(middle, 192, length=7, middle=middle, rows_first=True, norm=norm),
    )
    return Branches(
        branch1x1=InceptionConv(in_channels, 192, norm=norm),
        branch7x7=once,
        branch7x7dbl=twice,
        branch_pool=_mean_branch(in_channels, 192, norm),
    )


def inception_v3_reduction_8(in_channels: int, *, norm: Norm | None = nn.BatchNorm2d, padded: bool = True) -> Branches:
    """Return Inception v3's module from 17×17 to 8×8.

    Args:
        in_channels: Depth of the input.
        norm: See ``InceptionConv``.
        padded: See ``InceptionConv``, of what has stride 2.

    Source:
        Szegedy et al. 2015, section 5, https://arxiv.org/abs/1512.00567.
    """
    seven = nn.Sequential(
        InceptionConv(in_channels, 192, norm=norm),
        *asymmetric_convs(192, 192, length=7, norm=norm),
        InceptionConv(192, 192, (3, 3), stride=2, norm=norm, padded=padded),
    )
    return Branches(
        branch3x3=_steps(in_channels, [(192, 1), (320, 3)], norm, stride=2, padded=padded),
        branch7x7x3=seven,
        branch_pool=nn.MaxPool2d(3, 2, int(padded)),
    )


def inception_v3_8(in_channels: int, *, norm: Norm | None = nn.BatchNorm2d) -> Branches:
    """Return Inception v3's module for maps of 8×8: 1×3 and 3×1 side by side.

    Args:
        in_channels: Depth of the input.
        norm: See ``InceptionConv``.

    Source:
        Szegedy et al. 2015, figure 7, https://arxiv.org/abs/1512.00567.
    """
    return Branches(
        branch1x1=InceptionConv(in_channels, 320, norm=norm),
        branch3x3=nn.Sequential(InceptionConv(in_channels, 384, norm=norm), _row_and_column(norm)),
        branch3x3dbl=nn.Sequential(*_steps(in_channels, [(448, 1), (384, 3)], norm), _row_and_column(norm)),
        branch_pool=_mean_branch(in_channels, 192, norm),
    )


def _steps(
    in_channels: int, widths: Sequence[tuple[int, int]], norm: Norm | None, *, stride: int = 1, padded: bool = True
) -> nn.Sequential:
    """Return square convolutions of given (depth, kernel); the last has the stride, and alone may go unpadded."""
    layers = []
    for number, (width, kernel) in enumerate(widths, 1):
        is_last = number == len(widths)
        size = (kernel, kernel)
        step = stride if is_last else 1
        layers.append(InceptionConv(in_channels, width, size, stride=step, norm=norm, padded=padded or not is_last))
        in_channels = width
    return nn.Sequential(*layers)


def _mean_branch(in_channels: int, out_channels: int, norm: Norm | None) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, 1, 1), InceptionConv(in_channels, out_channels, norm=norm))


def _row_and_column(norm: Norm | None) -> Branches:
    return Branches(a=InceptionConv(384, 384, (1, 3), norm=norm), b=InceptionConv(384, 384, (3, 1), norm=norm))
