"""Box algebra: areas, overlap, clipping and conversion. Boxes are xyxy in pixels."""

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor

__all__ = [
    "box_area",
    "box_centers_sizes",
    "box_iou",
    "boxes_from_centers_sizes",
    "clip_boxes",
    "covered_share",
    "is_larger_than",
    "scale_boxes",
]


def box_area(boxes: Float[Tensor, "*batch num_boxes 4"]) -> Float[Tensor, "*batch num_boxes"]:
    """Area of each box in square pixels; a box with negative sides may give any sign."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _intersection(first: Tensor, second: Tensor) -> Tensor:
    # One coordinate at a time: a [.., N, M] temporary per axis instead of [.., N, M, 2] ones.
    width = torch.minimum(first[..., :, None, 2], second[..., None, :, 2])
    width -= torch.maximum(first[..., :, None, 0], second[..., None, :, 0])
    height = torch.minimum(first[..., :, None, 3], second[..., None, :, 3])
    height -= torch.maximum(first[..., :, None, 1], second[..., None, :, 1])
    return width.clamp_(min=0).mul_(height.clamp_(min=0))


def box_iou(
    first: Float[Tensor, "*batch num_first 4"], second: Float[Tensor, "*batch num_second 4"]
) -> Float[Tensor, "*batch num_first num_second"]:
    """Intersection over union of every pair.

    Leading axes broadcast, so that one set of anchors serves a whole batch of targets. Two boxes of area zero
    overlap by 0.

    Source:
        Jaccard 1901; as in Everingham et al. 2010, section 4.2, with continuous edges (no +1).
    """
    shared = _intersection(first, second)
    union = box_area(first)[..., :, None] + box_area(second)[..., None, :] - shared
    return shared / union.clamp(min=torch.finfo(union.dtype).tiny)


def covered_share(
    boxes: Float[Tensor, "*batch num_boxes 4"], regions: Float[Tensor, "*batch num_regions 4"]
) -> Float[Tensor, "*batch num_boxes num_regions"]:
    """Share of each box that lies within each region (intersection over the box's own area).

    Source:
        The overlap that the COCO evaluation uses for crowd regions (Lin et al. 2014, pycocotools).
    """
    area = box_area(boxes)[..., :, None]
    return _intersection(boxes, regions) / area.clamp(min=torch.finfo(area.dtype).tiny)


def clip_boxes(
    boxes: Float[Tensor, "*batch num_boxes 4"], sizes: Num[Tensor, "*batch 2"]
) -> Float[Tensor, "*batch num_boxes 4"]:
    """Cut boxes at the edges of their image.

    Args:
        boxes: Any coordinates.
        sizes: Height and width of each image.
    """
    return torch.minimum(boxes.clamp(min=0), _as_corners(sizes.to(boxes.dtype)))


def _as_corners(sizes: Tensor) -> Tensor:
    """Sizes [*batch, (height, width)] as [*batch, 1, (width, height, width, height)]."""
    # Not by indexing with a list: on an accelerator that copies the list and waits.
    return sizes.flip(-1).repeat(*([1] * (sizes.ndim - 1)), 2).unsqueeze(-2)


def scale_boxes(
    boxes: Float[Tensor, "*batch num_boxes 4"],
    from_sizes: Num[Tensor, "*batch 2"],
    to_sizes: Num[Tensor, "*batch 2"],
) -> Float[Tensor, "*batch num_boxes 4"]:
    """Map boxes from an image of one size to the same image at another (height, width)."""
    return boxes * _as_corners(to_sizes.to(boxes.dtype) / from_sizes.to(boxes.dtype))


def is_larger_than(boxes: Float[Tensor, "*batch num_boxes 4"], side_px: float) -> Bool[Tensor, "*batch num_boxes"]:
    """True where both sides are at least ``side_px``."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return (sides >= side_px).all(dim=-1)


def box_centers_sizes(
    boxes: Float[Tensor, "*batch 4"],
) -> tuple[Float[Tensor, "*batch 2"], Float[Tensor, "*batch 2"]]:
    """Centre (x, y) and sides (width, height) of each box."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + 0.5 * sides, sides


def boxes_from_centers_sizes(
    centers: Float[Tensor, "*batch 2"], sides: Float[Tensor, "*batch 2"]
) -> Float[Tensor, "*batch 4"]:
    """Boxes from centres (x, y) and sides (width, height)."""
    half = 0.5 * sides
    return torch.cat([centers - half, centers + half], dim=-1)
