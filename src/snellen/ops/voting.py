"""Box voting: a survivor of suppression moves to the mean of those it stands for."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from snellen.ops.boxes import box_iou
from snellen.ops.grouping import group_table

__all__ = ["vote_boxes"]

# Pairs of boxes that are compared at a time: about 50 MB of temporaries.
_PAIRS_AT_ONCE = 2**20


def vote_boxes(
    boxes: Float[Tensor, "num_boxes 4"],
    scores: Float[Tensor, " num_boxes"],
    kept: Bool[Tensor, " num_boxes"],
    groups: Int64[Tensor, " num_boxes"],
    *,
    iou_above: float = 0.5,
) -> Float[Tensor, "num_boxes 4"]:
    """Boxes, where each kept one is the score-weighted mean of the boxes of its group that overlap it.

    Args:
        boxes: All boxes of all groups, as before suppression. One with a coordinate that is not finite has no
            vote.
        scores: Weights of the votes, as before suppression; below 0 or NaN counts as 0.
        kept: The boxes that survived suppression.
        groups: Group of each box (image and class, say), from 0.
        iou_above: Overlap from which a box votes.

    Returns:
        New coordinates in the rows that are kept, the old ones elsewhere. A kept box stays where it is if
        nobody around it has a positive score.

    Source:
        Gidaris and Komodakis 2015 (bounding box voting), https://arxiv.org/abs/1505.01749. Differs:
        a box votes at an overlap of exactly ``iou_above`` too.
    """
    precise = torch.promote_types(boxes.dtype, torch.float32)
    weights = scores.to(precise).nan_to_num(nan=0.0, neginf=0.0).clamp(min=0)
    voters = boxes.isfinite().all(dim=1)
    table = group_table(groups, voters)
    rows = (kept & voters).nonzero()[:, 0]
    moved = boxes.clone()
    most = max(table.member.shape[1], 1)
    for part in torch.split(rows, max(_PAIRS_AT_ONCE // most, 1)):
        member, filled = table.member[table.row[part]], table.filled[table.row[part]]
        own, others = boxes[part].to(precise), boxes[member].to(precise)  # [part, 4], [part, most, 4]
        near = (box_iou(own[:, None], others)[:, 0] >= iou_above) & filled
        vote = weights[member] * near
        total = vote.sum(dim=1, keepdim=True)
        # As shifts from the kept box: the mean of equal boxes is then that box to the last digit.
        shift = (vote[:, None] @ (others - own[:, None]))[:, 0] / total.clamp(min=torch.finfo(precise).tiny)
        moved[part] = (own + shift).to(boxes.dtype)
    return moved
