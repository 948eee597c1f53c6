"""Spatial pyramid pooling of regions: vectors of one length from regions of any size."""

from collections.abc import Sequence

import torch
import torchvision
from jaxtyping import Float, Int64
from torch import Tensor

from snellen.ops.constants import constant_on

__all__ = ["spatial_pyramid_pool"]


def spatial_pyramid_pool(
    features: Float[Tensor, "batch channels height width"],
    boxes: Float[Tensor, "num_boxes 4"],
    image_index: Int64[Tensor, " num_boxes"],
    *,
    levels: Sequence[int] = (1, 2, 3, 6),
    scale: float,
) -> Float[Tensor, "num_boxes channels num_bins"]:
    """Maximum over each bin of a pyramid of grids laid over each region.

    A region covers the cells of the map whose receptive fields are centred inside the box. Bins that do not
    divide evenly overlap by the cell that they share.

    Args:
        features: One map.
        boxes: In image pixels. A box between the centres of two cells takes the cell nearest to its centre.
        image_index: Image of each box.
        levels: Bins per side of each grid.
        scale: Map cells per image pixel.

    Returns:
        Level by level, rows first: 1 + 4 + 9 + 36 = 50 bins for the levels of the paper.

    Source:
        He et al. 2014 (SPPNet), section 4.1 (50 bins) and appendix A (from windows to cells; bins from floor
        to ceiling), https://arxiv.org/abs/1406.4729. Differs: boxes without a cell, for which the paper has no
        rule. Kernel: torchvision's RoIPool, one call over all bins of all levels, with edges computed here in
        whole numbers.
    """
    height, width = features.shape[-2:]
    left, right = _cells(boxes[:, 0], boxes[:, 2], width, scale)
    top, bottom = _cells(boxes[:, 1], boxes[:, 3], height, scale)
    index, grid = [], []
    for level in levels:
        index += [(row, column) for row in range(level) for column in range(level)]
        grid += [level] * level**2
    bins = constant_on(boxes.device, grid, torch.int64)
    place = constant_on(boxes.device, [number for pair in index for number in pair], torch.int64).view(-1, 2)
    first_row, last_row = _bin_edges(top, bottom, place[:, 0], bins)
    first_column, last_column = _bin_edges(left, right, place[:, 1], bins)
    image = image_index[:, None].expand_as(first_row)
    rois = torch.stack([image, first_column, first_row, last_column, last_row], dim=-1)  # [num_boxes, num_bins, 5]
    pooled: Tensor = torchvision.ops.roi_pool(features, rois.flatten(0, 1).to(features.dtype), 1, 1.0)
    return pooled.view(len(boxes), len(grid), features.shape[1]).transpose(1, 2)


def _cells(low: Tensor, high: Tensor, size: int, scale: float) -> tuple[Tensor, Tensor]:
    """First and last cell of each box along one axis, both within the map."""
    # By division: 24 * (1 / 12) need not be 2 in floating point, 24 / 12 is.
    first, last = (low / (1 / scale)).nan_to_num(), (high / (1 / scale)).nan_to_num()
    nearest = ((first + last) / 2 + 0.5).floor()
    begin, end = first.floor() + 1, last.ceil() - 1
    begin, end = torch.where(begin > end, nearest, begin), torch.where(begin > end, nearest, end)
    return begin.clamp(0, size - 1).long(), end.clamp(0, size - 1).long()


def _bin_edges(first: Tensor, last: Tensor, place: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
    """First and last cell of each bin along one axis: [num_boxes, num_bins] each."""
    count = (last - first + 1)[:, None]
    begin = place * count // bins
    end = -(-(place + 1) * count // bins)
    return first[:, None] + begin, first[:, None] + end - 1
