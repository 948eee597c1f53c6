"""What a map holds of each image itself, and not of the padding beside it."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from snellen.structures import ImageBatch

__all__ = ["content_cells", "content_grid", "content_mean"]


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
    rows, columns = features.shape[-2:]
    row_mask = torch.arange(rows, device=features.device) < cells[:, :1]
    column_mask = torch.arange(columns, device=features.device) < cells[:, 1:]
    mask = (row_mask[:, :, None] & column_mask[:, None, :]).to(features.dtype)  # batch rows columns
    total = (features * mask[:, None]).sum(dim=(2, 3), dtype=torch.float32)
    return total / mask.sum(dim=(1, 2), dtype=torch.float32)[:, None]


def content_grid(
    features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"], side: int
) -> Float[Tensor, "batch channels side side"]:
    """Return the means over a grid of ``side`` × ``side`` bins that divide each image's own cells.

    The bins are those of ``torch.nn.AdaptiveAvgPool2d``: they overlap where ``side`` does not divide the number of
    cells, and hold one cell each where there are ``side`` of them.
    """
    rows, columns = features.shape[-2:]
    along_rows = _bin_weights(cells[:, 0], rows, side).to(features.dtype)  # batch side rows
    along_columns = _bin_weights(cells[:, 1], columns, side).to(features.dtype)  # batch side columns
    return along_rows[:, None] @ features @ along_columns[:, None].transpose(-1, -2)


def _bin_weights(cells: Int64[Tensor, " batch"], num_cells: int, side: int) -> Float[Tensor, "batch side num_cells"]:
    place = torch.arange(side, device=cells.device)
    starts = place * cells[:, None] // side  # batch side
    stops = ((place + 1) * cells[:, None] + side - 1) // side
    cell = torch.arange(num_cells, device=cells.device)
    inside = (cell >= starts[..., None]) & (cell < stops[..., None])
    return inside / (stops - starts)[..., None]
