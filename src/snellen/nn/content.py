"""What a map holds of each image itself, and not of the padding beside it."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from snellen.structures import ImageBatch

__all__ = [
    "content_cells",
    "content_grid",
    "content_max",
    "content_mean",
    "content_windows",
    "spread_over_content",
]


def content_cells(
    features: Float[Tensor, "batch channels rows columns"], images: ImageBatch, stride: int
) -> Int64[Tensor, "batch 2"]:
    """Return how many rows and columns of a map belong to each image's own content; a part of a cell counts whole.

    A network that pads less than half of its kernels loses cells at the border; it is taken to lose as many of each
    image as of the whole canvas.

    Args:
        features: A map of the images.
        images: What was looked at.
        stride: Of the map in pixels.
    """
    sizes = images.sizes.to(features.device, non_blocking=True)
    along_axes = []
    for axis in (0, 1):
        lost = -(-images.pixels.shape[axis - 2] // stride) - features.shape[axis - 2]
        along_axes.append((sizes[:, axis] + stride - 1) // stride - lost)
    return torch.stack(along_axes, dim=1).clamp(min=1)


def content_mean(
    features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
) -> Float[Tensor, "batch channels"]:
    """Return the mean over the first ``cells`` rows and columns of each image (global average pooling).

    Source:
        Lin et al. 2013, section 3.2, https://arxiv.org/abs/1312.4400.
    """
    mask = _content_mask(features, cells).to(features.dtype)
    total = (features * mask[:, None]).sum(dim=(2, 3), dtype=torch.float32)
    return total / mask.sum(dim=(1, 2), dtype=torch.float32)[:, None]


def content_max(
    features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
) -> Float[Tensor, "batch channels"]:
    """Return the greatest value of the first ``cells`` rows and columns of each image (global max pooling).

    Source:
        Oquab et al. 2015, Is object localization for free?, section 3, CVPR.
    """
    inside = _content_mask(features, cells)[:, None]
    return features.masked_fill(~inside, -torch.inf).amax(dim=(2, 3)).float()


def _content_mask(
    features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
) -> Bool[Tensor, "batch rows columns"]:
    rows, columns = features.shape[-2:]
    row_mask = torch.arange(rows, device=features.device) < cells[:, :1]
    column_mask = torch.arange(columns, device=features.device) < cells[:, 1:]
    return row_mask[:, :, None] & column_mask[:, None, :]


def content_grid(
    features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"], side: int
) -> Float[Tensor, "batch channels side side"]:
    """Return the means over a grid of ``side`` × ``side`` bins that divide each image's own cells.

    The bins are those of ``torch.nn.AdaptiveAvgPool2d``: they overlap where ``side`` does not divide the number of
    cells, and hold one cell each where there are ``side`` of them.
    """
    place = torch.arange(side, device=cells.device)
    starts = place * cells[..., None] // side  # batch 2 side
    stops = ((place + 1) * cells[..., None] + side - 1) // side
    return _window_means(features, starts, stops)


def content_windows(
    features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"], side: int, *, window: int
) -> Float[Tensor, "batch channels side side"]:
    """Return the means over ``side`` × ``side`` windows that are spread evenly over each image's own cells.

    The first window begins at the first cell, the last one ends at the last. Windows of 5 on 14 cells, 4 of them, are
    an average pool of 5 with a step of 3; so are 5 of them on 17 cells. On fewer cells the windows shrink.
    """
    place = torch.arange(side, device=cells.device)
    width = cells.clamp(max=window)[..., None]  # batch 2 1
    starts = place * (cells[..., None] - width) // max(1, side - 1)  # batch 2 side
    return _window_means(features, starts, starts + width)


def spread_over_content(
    grid: Float[Tensor, "batch channels side side"],
    cells: Int64[Tensor, "batch 2"],
    size: tuple[int, int],
    *,
    align_corners: bool = False,
) -> Float[Tensor, "batch channels rows columns"]:
    """Return a grid enlarged bilinearly over each image's own cells; behind them its border goes on.

    Where the cells are the whole map it is ``torch.nn.functional.interpolate``.

    Args:
        grid: What ``content_grid`` returns, or what was made of it.
        cells: Rows and columns of each image.
        size: Rows and columns of the map.
        align_corners: Whether the centres of the outermost cells lie on those of the grid, instead of the borders on
            the borders.
    """
    along = [
        _shares_of(grid.shape[axis - 2], cells[:, axis], size[axis], align_corners=align_corners) for axis in (0, 1)
    ]
    rows, columns = (share.to(grid.dtype)[:, None] for share in along)
    return rows @ grid @ columns.transpose(-1, -2)


def _shares_of(
    side: int, cells: Int64[Tensor, " batch"], length: int, *, align_corners: bool
) -> Float[Tensor, "batch length side"]:
    """Return how much of each cell of a grid goes into each cell of a map, along one axis."""
    number = cells[:, None].float()
    cell = torch.arange(length, device=cells.device).minimum(cells[:, None] - 1)
    place = cell * (side - 1) / (number - 1).clamp(min=1) if align_corners else (cell + 0.5) * side / number - 0.5
    place = place.clamp(0, side - 1)  # batch length
    return (1 - (place[..., None] - torch.arange(side, device=cells.device)).abs()).clamp(min=0)


def _window_means(
    features: Float[Tensor, "batch channels rows columns"],
    starts: Int64[Tensor, "batch 2 side"],
    stops: Int64[Tensor, "batch 2 side"],
) -> Float[Tensor, "batch channels side side"]:
    along = []
    for axis in (0, 1):
        cell = torch.arange(features.shape[axis - 2], device=features.device)
        first, behind = starts[:, axis, :, None], stops[:, axis, :, None]  # batch side 1
        inside = (cell >= first) & (cell < behind)
        along.append((inside / (behind - first)).to(features.dtype)[:, None])  # batch 1 side cells
    return along[0] @ features @ along[1].transpose(-1, -2)
