"""Precise RoI pooling: the exact mean of the bilinear surface over each bin, with gradients for the boxes too."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from snellen.ops.constants import constant_on

__all__ = ["prroi_pool", "pyramid_prroi_pool"]

_TAPS_STEP = 2  # taps along an axis are rounded up to a multiple: fewer calls, few taps for nothing
_MOST_TAPS = 2**20  # more than any map has cells along an axis
# Boxes are cut here: a difference of two coordinates must not overflow.
_FARTHEST = 1e7  # map cells


def prroi_pool(
    features: Float[Tensor, "batch channels height width"],
    boxes: Float[Tensor, "num_boxes 4"],
    image_index: Int64[Tensor, " num_boxes"],
    *,
    output_size: int,
    scale: float,
) -> Float[Tensor, "num_boxes channels output output"]:
    """Precise RoI pooling on one map; see ``pyramid_prroi_pool``."""
    level = torch.zeros_like(image_index)
    return pyramid_prroi_pool([features], boxes, image_index, level, output_size=output_size, scales=[scale])


def pyramid_prroi_pool(
    features: Sequence[Float[Tensor, "batch channels _ _"]],
    boxes: Float[Tensor, "num_boxes 4"],
    image_index: Int64[Tensor, " num_boxes"],
    level: Int64[Tensor, " num_boxes"],
    *,
    output_size: int,
    scales: Sequence[float],
) -> Float[Tensor, "num_boxes channels output output"]:
    """Integral of the bilinear surface over each bin of each region, divided by the bin's area.

    No points are sampled: every cell whose bilinear hat reaches into a bin has a part in it, and that part
    changes smoothly as the box moves. The integral of a product of hats is a product of two integrals with a
    closed form, so a bin is a weighted sum of cells, as in ``pyramid_roi_align``, but of as many as it covers.
    Boxes whose bins cover about equally many cells are pooled together; how many that are depends on the data, so
    the host waits for an accelerator once.

    Args:
        features: Maps of the pyramid, finest first; the surface is 0 outside of them. Cell i lies at i.
        boxes: In image pixels. One without area gives 0 and gets no gradient; what comes out for a coordinate
            that is not finite means nothing.
        image_index: Image of each box.
        level: Map of each box.
        output_size: Bins per side.
        scales: Map cells per image pixel, for each map.

    Source:
        Jiang et al. 2018 (IoU-Net), section 3.3, eq. 5-6, https://arxiv.org/abs/1807.11590.
    """
    channels = features[0].shape[1]
    table = torch.cat([feature.permute(0, 2, 3, 1).reshape(-1, channels) for feature in features])
    height, width, first_row = _layout(features, boxes.device)[:, level]
    precise = boxes.to(torch.promote_types(boxes.dtype, torch.float32)).nan_to_num().clamp(-_FARTHEST, _FARTHEST)
    scaled = precise * constant_on(boxes.device, scales, precise.dtype)[level][:, None]
    low, high = scaled[:, :2], scaled[:, 2:]
    size = torch.stack([width, height], dim=1)
    offset = first_row + image_index * height * width
    order, parts = _alike(low.detach(), high.detach(), size, output_size)
    indices, weights, sizes = [], [], []
    for part, (_, across, down) in zip(torch.split(order, [count for count, _, _ in parts]), parts, strict=True):
        columns, column_weight = _taps(low[part, 0], high[part, 0], width[part], bins=output_size, taps=across)
        rows, row_weight = _taps(low[part, 1], high[part, 1], height[part], bins=output_size, taps=down)
        rows = offset[part][:, None, None] + rows * width[part][:, None, None]
        # Both of shape [regions, bins, bins, taps down, taps across].
        indices.append((rows[:, :, None, :, None] + columns[:, None, :, None, :]).flatten())
        weights.append((row_weight[:, :, None, :, None] * column_weight[:, None, :, None, :]).flatten())
        sizes.append(rows.new_full((len(part) * output_size**2,), across * down))
    pooled = _weighted_sums(table, indices, weights, sizes).view(-1, output_size, output_size, channels)
    return pooled.index_select(0, order.argsort()).permute(0, 3, 1, 2)  # [num_boxes, channels, bins, bins]


def _weighted_sums(table: Tensor, indices: list[Tensor], weights: list[Tensor], sizes: list[Tensor]) -> Tensor:
    """Sum of weighted rows of the table for each bag: [bags, channels].

    One call for all bags: each call's backward writes a gradient as large as the maps.
    """
    none = table.new_zeros(0)  # without boxes there is nothing to concatenate
    size = torch.cat([none.long(), *sizes])
    sums: Tensor = functional.embedding_bag(
        torch.cat([none.long(), *indices]),
        table,
        offsets=size.cumsum(0) - size,
        mode="sum",
        per_sample_weights=torch.cat([none, *weights]).to(table.dtype),
    )
    return sums


def _layout(features: Sequence[Tensor], device: torch.device) -> Tensor:
    """Height, width and first row in the table of each map: [3, levels]."""
    heights, widths = [feature.shape[2] for feature in features], [feature.shape[3] for feature in features]
    starts = list(accumulate((feature[:, 0].numel() for feature in features), initial=0))[:-1]
    return constant_on(device, [*heights, *widths, *starts], torch.int64).view(3, -1)


def _edges(low: Tensor, high: Tensor, bins: int) -> Tensor:
    """Edges of the bins, in cells: [*low.shape, bins + 1]."""
    share = torch.arange(bins + 1, device=low.device, dtype=low.dtype) / bins
    return low[..., None] + (high - low).clamp(min=0)[..., None] * share


def _alike(low: Tensor, high: Tensor, size: Tensor, bins: int) -> tuple[Tensor, list[tuple[int, int, int]]]:
    """Boxes in an order that puts those together whose bins reach equally many cells.

    Returns:
        The order, and for each part of it: how many boxes, taps across, taps down.
    """
    limit = size[..., None].to(low.dtype)
    edges = torch.minimum(_edges(low, high, bins).clamp(min=-1), limit)
    taps = (edges[..., 1:].ceil() - edges[..., :-1].floor()).amax(dim=-1).long() + 1  # [num_boxes, (x, y)]
    taps = -(-taps // _TAPS_STEP) * _TAPS_STEP
    key = taps[:, 0] * _MOST_TAPS + taps[:, 1]
    ordered, order = key.sort(stable=True)
    keys, counts = torch.unique_consecutive(ordered, return_counts=True)
    pairs = torch.stack([keys, counts], dim=1).tolist()
    return order, [(count, *divmod(value, _MOST_TAPS)) for value, count in pairs]


def _taps(low: Tensor, high: Tensor, size: Tensor, *, bins: int, taps: int) -> tuple[Tensor, Tensor]:
    """Cells and weights of each bin along one axis: [num_boxes, bins, taps] each."""
    edges = _edges(low, high, bins)
    begin, end = edges[:, :-1, None], edges[:, 1:, None]
    limit = size[:, None, None]
    first = torch.minimum(begin.detach().floor().clamp(min=-1), limit.to(low.dtype)).long()
    cell = first + torch.arange(taps, device=low.device)
    place = cell.to(low.dtype)
    length = ((high - low) / bins)[:, None, None]
    some = length > 0
    covered = _hat_integral(end - place) - _hat_integral(begin - place)
    inside = (cell >= 0) & (cell < limit) & some
    weight = torch.where(inside, covered, 0.0) / torch.where(some, length, 1.0)
    return torch.minimum(cell.clamp(min=0), limit - 1), weight


def _hat_integral(end: Tensor) -> Tensor:
    """Integral of max(0, 1 − |x|) from −1 to ``end``."""
    end = end.clamp(-1, 1)
    return 0.5 + end - 0.5 * end * end.abs()
