"""3×3 convolutions with a quarter of the multiplications, for processors that compute in float32.

T tiles of 4×4 cells of the output, C channels in, O channels out, 36 = 6×6 points of a tile's transform.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

__all__ = ["num_tiles", "winograd_conv", "winograd_kernels"]

TILE, KERNEL = 4, 3  # cells
WINDOW = TILE + KERNEL - 1  # cells of the input that a tile of the output sees
# Where the polynomials are evaluated, and at infinity. Of the points tried these err least: 9e-7 of the outputs' spread
# in float32, where the usual 0, ±1, ±2 err by 1.8e-6 and the direct sum by 1.6e-7. Exact in float32.
POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)
# Floats of a transformed block of tiles: what is worked on at once stays near the processor. 8 MB; from 4 to 16 MB the
# times differ by less than a tenth, above 32 MB the C library asks the system for every block anew.
BLOCK = 2 * 2**20


def num_tiles(height: int, width: int) -> int:
    """Return how many tiles cover a map of the output."""
    return -(-height // TILE) * -(-width // TILE)


def winograd_kernels(weight: Float[Tensor, "out in 3 3"]) -> Float[Tensor, "36 in out"]:
    """Return the transform of a convolution's weight, which ``winograd_conv`` can be given more than once.

    Source:
        Lavin and Gray 2016, section 4.1 (``U = G g Gᵀ``), https://arxiv.org/abs/1509.09308.
    """
    forward = _transforms(weight.dtype)[1]
    columns = weight.permute(2, 3, 1, 0).reshape(KERNEL * KERNEL, -1)  # [9, in * out]
    return (forward @ columns).view(WINDOW * WINDOW, weight.shape[1], weight.shape[0])


def winograd_conv(
    x: Float[Tensor, "batch in height width"],
    weight: Float[Tensor, "out in 3 3"],
    bias: Float[Tensor, " out"] | None = None,
    *,
    padding: int = 0,
    kernels: Float[Tensor, "36 in out"] | None = None,
) -> Float[Tensor, "batch out _ _"]:
    """Return ``conv2d(x, weight, bias, padding=padding)`` but for rounding, in channels-last format.

    A tile of 4×4 outputs takes 36 multiplications for each pair of channels in place of 144, and all tiles together are
    36 products of matrices. What is saved pays for the transforms where there are many channels and tiles.
    Differentiable once in x, weight and bias; nothing but these is kept for the backward pass.

    Args:
        x: Fastest in channels-last format.
        weight: Of a convolution of stride and dilation 1 without groups.
        bias: Added to the output.
        padding: Rows and columns of zeros around x.
        kernels: ``winograd_kernels(weight)``, where it is at hand.

    Source:
        Lavin and Gray 2016, F(4×4, 3×3), https://arxiv.org/abs/1509.09308; the transforms by Toom and Cook. Differs:
        other points than the paper's, which halve the error of rounding.
    """
    made = winograd_kernels(weight.detach()) if kernels is None else kernels
    result: Tensor = _WinogradConv.apply(x, weight, bias, padding, made)
    return result


@cache
def _transforms(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Return the transforms of flattened windows [36, 36], kernels [36, 9], and from products to outputs [16, 36]."""
    with torch.inference_mode(mode=False):  # kept, and used in training too, whoever asks first
        return tuple(torch.kron(matrix, matrix).to(dtype) for matrix in _matrices())  # type: ignore[return-value]


def _matrices() -> tuple[Tensor, Tensor, Tensor]:
    """Return the transforms of one axis, ``Bᵀ`` [6, 6], ``G`` [6, 3] and ``Aᵀ`` [4, 6], in float64."""
    points = torch.tensor(POINTS, dtype=torch.float64)
    last = len(POINTS)
    window, kernel = torch.zeros(WINDOW, WINDOW, dtype=torch.float64), torch.zeros(WINDOW, KERNEL, dtype=torch.float64)
    output = torch.zeros(TILE, WINDOW, dtype=torch.float64)
    for row, point in enumerate(points):
        others = torch.cat([points[:row], points[row + 1 :]])
        window[row, :last] = _coefficients(others)
        kernel[row] = point ** torch.arange(KERNEL) / torch.prod(point - others)
        output[:, row] = point ** torch.arange(TILE)
    window[last], kernel[last, -1], output[-1, last] = _coefficients(points), 1, 1
    return window, kernel, output


def _coefficients(roots: Tensor) -> Tensor:
    """Return those of the polynomial with these roots, the constant first."""
    result = torch.ones(1, dtype=roots.dtype)
    for root in roots:
        shifted = torch.cat([result.new_zeros(1), result])
        shifted[:-1] -= root * result
        result = shifted
    return result


class _WinogradConv(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: int, kernels: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, kernels)
        ctx.padding = padding
        batch, channels, height, width = x.shape
        height, width = height + 2 * padding - KERNEL + 1, width + 2 * padding - KERNEL + 1
        rows, columns = -(-height // TILE), -(-width // TILE)
        padded = _padded(x, padding, rows, columns)
        to_window, _, to_output = _transforms(x.dtype)
        size = (batch, weight.shape[0], height, width)
        result = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        for images, first, end in _blocks(batch, rows, columns, max(weight.shape[:2])):
            windows = (to_window @ _windows(padded, images, first, end, columns)).view(WINDOW**2, -1, channels)
            tiles = to_output @ torch.bmm(windows, kernels).view(WINDOW**2, -1)  # [16, T * O]
            if bias is not None:
                tiles.view(-1, len(bias)).add_(bias)
            _write_tiles(result.permute(0, 2, 3, 1), tiles, images, first, end)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, kernels = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad[:3]
        batch, channels, *_ = x.shape
        rows, columns = -(-gradient.shape[2] // TILE), -(-gradient.shape[3] // TILE)
        to_window, to_kernel, to_output = _transforms(x.dtype)
        arriving = _padded(gradient, 0, rows, columns)[:, : rows * TILE, : columns * TILE]
        padded = _padded(x, ctx.padding, rows, columns) if for_weight else x
        kernel_sum = torch.zeros_like(kernels) if for_weight else kernels
        # One more row and column of tiles, for windows reach into the tiles behind theirs.
        x_sum = x.new_zeros(batch, (rows + 1) * TILE, (columns + 1) * TILE, channels) if for_x else x
        for images, first, end in _blocks(batch, rows, columns, max(weight.shape[:2])):
            tiles = _tiled(arriving, images, first, end).reshape(TILE**2, -1)
            products = (to_output.T @ tiles).view(WINDOW**2, -1, weight.shape[0])  # [36, T, O]
            if for_weight:
                windows = (to_window @ _windows(padded, images, first, end, columns)).view(WINDOW**2, -1, channels)
                kernel_sum.baddbmm_(windows.transpose(1, 2), products)
            if for_x:
                windows = to_window.T @ torch.bmm(products, kernels.transpose(1, 2)).view(WINDOW**2, -1)
                _add_windows(x_sum, windows, images, first, end)
        weight_gradient = None
        if for_weight:
            weight_gradient = to_kernel.T @ kernel_sum.view(WINDOW**2, -1)  # [9, C * O]
            weight_gradient = weight_gradient.view(KERNEL, KERNEL, channels, -1).permute(3, 2, 0, 1)
        height, width = x.shape[2:]
        inside = x_sum[:, ctx.padding : ctx.padding + height, ctx.padding : ctx.padding + width] if for_x else None
        return (
            None if inside is None else inside.permute(0, 3, 1, 2),
            weight_gradient,
            gradient.sum((0, 2, 3)) if for_bias else None,
            None,
            None,
        )


def _blocks(batch: int, rows: int, columns: int, channels: int) -> Iterator[tuple[slice, int, int]]:
    """Yield images and rows of tiles, first and end, that are worked on at once."""
    most = max(BLOCK // (WINDOW**2 * channels), columns)  # tiles
    if rows * columns <= most:
        step = most // (rows * columns)
        for image in range(0, batch, step):
            yield slice(image, min(image + step, batch)), 0, rows
        return
    step = most // columns
    for image in range(batch):
        for row in range(0, rows, step):
            yield slice(image, image + 1), row, min(row + step, rows)


def _padded(x: Tensor, padding: int, rows: int, columns: int) -> Tensor:
    """Return x with its padding, filled up with zeros to what the windows of all tiles see, channels last."""
    batch, channels, height, width = x.shape
    down, right = padding + height, padding + width
    result = x.new_empty(batch, rows * TILE + KERNEL - 1, columns * TILE + KERNEL - 1, channels)
    result[:, :padding], result[:, down:] = 0, 0
    result[:, padding:down, :padding], result[:, padding:down, right:] = 0, 0
    result[:, padding:down, padding:right] = x.permute(0, 2, 3, 1)
    return result


def _windows(padded: Tensor, images: slice, first: int, end: int, columns: int) -> Tensor:
    """Return the windows of a block of tiles, [36, T * C]."""
    part = padded[images, first * TILE : end * TILE + KERNEL - 1]
    image, row, column, channel = part.stride()
    shape = (WINDOW, WINDOW, len(part), end - first, columns, part.shape[-1])
    strides = (row, column, image, row * TILE, column * TILE, channel)
    return part.as_strided(shape, strides).reshape(WINDOW**2, -1)


def _tiled(x: Tensor, images: slice, first: int, end: int) -> Tensor:
    """Return a view of a block of tiles: place in the tile [4, 4], images, rows and columns of tiles, channels."""
    part = x[images, first * TILE : end * TILE]
    return _split(part, TILE, TILE).permute(2, 4, 0, 1, 3, 5)


def _write_tiles(target: Tensor, tiles: Tensor, images: slice, first: int, end: int) -> None:
    """Write tiles [16, T * O] to their places; the last of a row or column may reach over the edge."""
    _, height, width, channels = target.shape
    tiles = tiles.view(TILE, TILE, images.stop - images.start, end - first, -(-width // TILE), channels)
    for rows, inner_rows in _spans(first, end, height):
        for columns, inner_columns in _spans(0, tiles.shape[4], width):
            place = _split(target[images, rows, columns], inner_rows, inner_columns)
            row, column = (
                slice(rows.start // TILE - first, -(-rows.stop // TILE) - first),
                slice(columns.start // TILE, -(-columns.stop // TILE)),
            )
            place.copy_(tiles[:inner_rows, :inner_columns, :, row, column].permute(2, 3, 0, 4, 1, 5))


def _split(x: Tensor, rows: int, columns: int) -> Tensor:
    """Return a view of a map by tiles: [n, row of tiles, rows, column of tiles, columns, C]."""
    tall, wide = x.shape[1] // rows, x.shape[2] // columns
    image, row, column, channel = x.stride()
    shape = (len(x), tall, rows, wide, columns, x.shape[3])
    return x.as_strided(shape, (image, rows * row, row, columns * column, column, channel))


def _spans(first: int, end: int, size: int) -> Iterator[tuple[slice, int]]:
    """Yield the cells of whole tiles, then those of a tile that is cut off, each with the cells of one tile."""
    whole = min(end, size // TILE)
    if whole > first:
        yield slice(first * TILE, whole * TILE), TILE
    if end > whole:
        yield slice(whole * TILE, size), size - whole * TILE


def _add_windows(target: Tensor, windows: Tensor, images: slice, first: int, end: int) -> None:
    """Add windows [36, T * C] at their places; each lies in four tiles."""
    tiles = _tiled(target, images, first, end + 1)
    columns = tiles.shape[4] - 1
    windows = windows.view(WINDOW, WINDOW, tiles.shape[2], end - first, columns, -1)
    behind = WINDOW - TILE  # rows and columns of a window in the next tile
    tiles[:, :, :, :-1, :-1] += windows[:TILE, :TILE]
    tiles[:behind, :, :, 1:, :-1] += windows[TILE:, :TILE]
    tiles[:, :behind, :, :-1, 1:] += windows[:TILE, TILE:]
    tiles[:behind, :behind, :, 1:, 1:] += windows[TILE:, TILE:]
