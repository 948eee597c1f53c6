"""Non-maximum suppression within groups."""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchvision.ops import nms

__all__ = ["kept_by_nms"]


def kept_by_nms(
    boxes: Float[Tensor, "num_boxes 4"],
    scores: Float[Tensor, " num_boxes"],
    groups: Int64[Tensor, " num_boxes"],
    *,
    iou_above: float,
    num_groups: int,
) -> Bool[Tensor, " num_boxes"]:
    """True for the boxes that survive greedy suppression among the boxes of their group.

    On an accelerator all groups go through one kernel call, shifted apart, so that the number of host-device
    synchronisations does not grow with the batch. On the CPU groups are handled one by one, which leaves the
    coordinates exact and compares fewer pairs.

    Args:
        boxes: All boxes of all groups. A box with a coordinate that is not finite is dropped and suppresses
            nothing.
        scores: Higher survives; a box with score −inf or NaN is dropped and suppresses nothing.
        groups: Group of each box (image, level, class or a combination), 0 … ``num_groups`` − 1.
        iou_above: A box is dropped if it overlaps a better one by more than this.
        num_groups: How many groups there are.

    Source:
        Dalal and Triggs 2005; greedy NMS as in Felzenszwalb et al. 2010, section 7.2. Kernel: torchvision.
    """
    alive = (scores > -torch.inf) & boxes.isfinite().all(dim=1)
    if len(boxes) == 0:
        return alive
    kept_of = _kept_group_by_group if boxes.device.type == "cpu" else _kept_at_once
    return kept_of(boxes, scores, groups, alive, iou_above=iou_above, num_groups=num_groups)


def _kept_group_by_group(
    boxes: Tensor, scores: Tensor, groups: Tensor, alive: Tensor, *, iou_above: float, num_groups: int
) -> Tensor:
    keep = torch.zeros_like(alive)
    order = torch.where(alive, groups, num_groups).argsort(stable=True)
    start = 0
    for count in torch.bincount(groups[alive], minlength=num_groups).tolist():
        rows = order[start : start + count]
        start += count
        keep[rows[nms(boxes[rows], scores[rows], iou_above)] if count > 1 else rows] = True
    return keep


def _kept_at_once(
    boxes: Tensor, scores: Tensor, groups: Tensor, alive: Tensor, *, iou_above: float, num_groups: int
) -> Tensor:
    # A dead box becomes a point: it has no area to share with anybody.
    boxes = torch.where(alive[:, None], boxes, 0.0)
    scores = torch.where(alive, scores, -torch.inf)
    apart = boxes.amax() - boxes.amin() + 1
    # Groups lie on a square, not on a line, because float32 has few digits to spare: 640 groups (8 images of
    # 80 classes) of 1000 px reach to 26,000 px, where a coordinate is still good to 0.002 px.
    side = math.isqrt(max(num_groups, 1) - 1) + 1
    shift = torch.stack([groups % side, groups // side], dim=1).to(boxes.dtype) * apart
    shifted = torch.where(alive[:, None], boxes + shift.repeat(1, 2), 0.0)
    keep = torch.zeros_like(alive)
    keep.index_fill_(0, nms(shifted, scores, iou_above), value=True)
    return keep & alive
