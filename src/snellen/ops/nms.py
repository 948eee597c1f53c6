"""Non-maximum suppression within groups."""

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
        boxes: All boxes of all groups.
        scores: Higher survives; a box with score −inf is dropped and suppresses nothing.
        groups: Group of each box (image, level, class or a combination), 0 … ``num_groups`` − 1.
        iou_above: A box is dropped if it overlaps a better one by more than this.
        num_groups: How many groups there are.

    Source:
        Dalal and Triggs 2005; greedy NMS as in Felzenszwalb et al. 2010, section 7.2. Kernel: torchvision.
    """
    alive = scores > -torch.inf
    keep = torch.zeros_like(alive)
    if len(boxes) == 0:
        return keep
    if boxes.device.type == "cpu":
        order = torch.where(alive, groups, num_groups).argsort(stable=True)
        counts = torch.bincount(groups[alive], minlength=num_groups).tolist()
        start = 0
        for count in counts:
            rows = order[start : start + count]
            start += count
            keep[rows[nms(boxes[rows], scores[rows], iou_above)] if count > 1 else rows] = True
        return keep
    apart = boxes.amax() - boxes.amin() + 1
    shifted = boxes + (groups.to(boxes.dtype) * apart)[:, None]
    # Dead boxes go to a place of their own, each, so that they meet nobody.
    lonely = (torch.arange(len(boxes), device=boxes.device) + num_groups).to(boxes.dtype) * apart
    point = torch.stack([lonely, lonely, lonely, lonely], dim=1)
    keep[nms(torch.where(alive[:, None], shifted, point), scores, iou_above)] = True
    return keep & alive
