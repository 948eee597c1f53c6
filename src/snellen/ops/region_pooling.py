"""Features of regions: RoIAlign over a pyramid as one weighted gather, and RoIPool."""

from collections.abc import Sequence
from itertools import accumulate

import torch
import torchvision
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from snellen.ops.constants import constant_on

__all__ = ["pyramid_level", "pyramid_roi_align", "roi_align", "roi_pool"]


def pyramid_level(
    boxes: Float[Tensor, "num_boxes 4"],
    *,
    lowest: int,
    highest: int,
    canonical_level: int = 4,
    canonical_px: float = 224,
) -> Int64[Tensor, " num_boxes"]:
    """Level of the pyramid on which each box is pooled: small boxes on fine maps.

    Args:
        boxes: In image pixels.
        lowest: log2 of the stride of the finest map.
        highest: log2 of the stride of the coarsest map.
        canonical_level: Level of a box of the canonical size.
        canonical_px: Side of the canonical box.

    Returns:
        0 for the finest map, and so on.

    Source:
        Lin et al. 2017 (FPN), eq. 1, https://arxiv.org/abs/1612.03144.
    """
    side = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=0).sqrt().nan_to_num()
    level = torch.floor(canonical_level + torch.log2(side / canonical_px) + 1e-6)
    return level.clamp(min=lowest, max=highest).long() - lowest


def roi_align(
    features: Float[Tensor, "batch channels height width"],
    boxes: Float[Tensor, "num_boxes 4"],
    image_index: Int64[Tensor, " num_boxes"],
    *,
    output_size: int,
    scale: float,
    sampling: int = 2,
) -> Float[Tensor, "num_boxes channels output output"]:
    """RoIAlign on one map; see ``pyramid_roi_align``."""
    level = torch.zeros_like(image_index)
    return pyramid_roi_align(
        [features], boxes, image_index, level, output_size=output_size, scales=[scale], sampling=sampling
    )


def pyramid_roi_align(
    features: Sequence[Float[Tensor, "batch channels _ _"]],
    boxes: Float[Tensor, "num_boxes 4"],
    image_index: Int64[Tensor, " num_boxes"],
    level: Int64[Tensor, " num_boxes"],
    *,
    output_size: int,
    scales: Sequence[float],
    sampling: int = 2,
) -> Float[Tensor, "num_boxes channels output output"]:
    """Average of bilinear samples in each bin of each region, from the map of the region's level.

    A bin is a weighted sum of at most ``4 * sampling**2`` feature vectors, so the maps are laid out as one
    table of vectors and all bins of all regions and levels are one ``embedding_bag``: it uses every core in
    both directions, has static shapes, and needs no loop over levels.

    Args:
        features: Maps of the pyramid, finest first. Channels-last memory avoids a copy.
        boxes: In image pixels. A coordinate that is not finite never reads outside the maps; what comes out
            for such a box means nothing.
        image_index: Image of each box.
        level: Map of each box.
        output_size: Bins per side.
        scales: Map cells per image pixel, for each map.
        sampling: Samples per bin and side.

    Source:
        He et al. 2017 (Mask R-CNN), section 3, https://arxiv.org/abs/1703.06870. Same sampling points and
        border rule as torchvision's ``roi_align(aligned=False)``.
    """
    channels = features[0].shape[1]
    table = torch.cat([feature.permute(0, 2, 3, 1).reshape(-1, channels) for feature in features])
    height, width, first_row = _layout(features, boxes.device)[:, level]
    precise = boxes.to(torch.promote_types(boxes.dtype, torch.float32)).nan_to_num()
    scaled = precise * constant_on(boxes.device, scales, precise.dtype)[level][:, None]

    rows, row_weight = _taps(scaled[:, 1], scaled[:, 3], height, output_size, sampling)
    columns, column_weight = _taps(scaled[:, 0], scaled[:, 2], width, output_size, sampling)
    rows = (first_row + image_index * height * width)[:, None, None] + rows * width[:, None, None]
    # Both of shape [regions, bins, bins, taps, taps].
    index = rows[:, :, None, :, None] + columns[:, None, :, None, :]
    weight = row_weight[:, :, None, :, None] * column_weight[:, None, :, None, :]
    taps = 4 * sampling * sampling
    pooled = functional.embedding_bag(
        index.reshape(-1, taps),
        table,
        mode="sum",
        per_sample_weights=weight.reshape(-1, taps).to(table.dtype),
    ).view(-1, output_size, output_size, channels)
    return pooled.permute(0, 3, 1, 2)  # [regions, channels, bins, bins]


def _layout(features: Sequence[Tensor], device: torch.device) -> Tensor:
    """Height, width and first row in the table of each map: [3, levels]."""
    shapes = [tuple(feature.shape) for feature in features]
    ends = list(accumulate((batch * height * width for batch, _, height, width in shapes), initial=0))
    values = [shape[2] for shape in shapes] + [shape[3] for shape in shapes] + ends[:-1]
    return constant_on(device, values, torch.int64).view(3, -1)


def _taps(low: Tensor, high: Tensor, size: Tensor, bins: int, sampling: int) -> tuple[Tensor, Tensor]:
    """Cells and weights along one axis: [num_boxes, bins, 2 * sampling] each."""
    bin_size = (high - low).clamp(min=1) / bins
    offset = (torch.arange(bins * sampling, device=low.device, dtype=low.dtype) + 0.5) / sampling
    center = low[:, None] + offset * bin_size[:, None]
    limit = size[:, None]
    inside = (center >= -1) & (center <= limit)
    center = torch.minimum(center.clamp(min=0), (limit - 1).to(center.dtype))
    near = center.long()
    far = torch.minimum(near + 1, limit - 1)
    share = center - near
    cell = torch.stack([near, far], dim=-1)
    weight = torch.stack([1 - share, share], dim=-1) * (inside / sampling)[..., None]
    shape = (len(low), bins, 2 * sampling)
    return cell.reshape(shape), weight.reshape(shape)


def roi_pool(
    features: Float[Tensor, "batch channels height width"],
    boxes: Float[Tensor, "num_boxes 4"],
    image_index: Int64[Tensor, " num_boxes"],
    *,
    output_size: int,
    scale: float,
) -> Float[Tensor, "num_boxes channels output output"]:
    """Maximum over each bin of each region, with edges rounded to cells twice.

    Args:
        features: One map.
        boxes: In image pixels.
        image_index: Image of each box.
        output_size: Bins per side.
        scale: Map cells per image pixel.

    Source:
        Girshick 2015 (Fast R-CNN), section 2.1, https://arxiv.org/abs/1504.08083. Kernel: torchvision.
    """
    rois = torch.cat([image_index[:, None].to(features.dtype), boxes.to(features.dtype)], dim=1)
    pooled: Tensor = torchvision.ops.roi_pool(features, rois, output_size, scale)
    return pooled
