"""Soft suppression: a box that overlaps a better one loses score instead of its life."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from snellen.errors import InputError
from snellen.ops.grouping import group_table

__all__ = ["soft_nms"]

# Greedy steps between two looks at what is left. A look costs about two steps (and a synchronisation on an
# accelerator) and cuts away what is done.
_STEPS_PER_LOOK = 32


def soft_nms(
    boxes: Float[Tensor, "num_boxes 4"],
    scores: Float[Tensor, " num_boxes"],
    groups: Int64[Tensor, " num_boxes"],
    *,
    method: Literal["linear", "gaussian"] = "linear",
    iou_above: float = 0.3,
    sigma: float = 0.5,
    score_floor: float = 0.001,
    num_groups: int,
) -> Float[Tensor, " num_boxes"]:
    """Scores after greedy decay among the boxes of each group.

    The best box of a group keeps its score and lowers the scores of those that overlap it; then comes the
    best of the rest, and so on. All groups take a step at once, so that the number of tensor operations is
    that of the largest group.

    Args:
        boxes: All boxes of all groups. A box with a coordinate that is not finite is dropped and lowers
            nobody.
        scores: In 0..1. A score that is NaN or under the floor is dropped and lowers nobody.
        groups: Group of each box (image, class or a combination), 0 … ``num_groups`` − 1.
        method: ``"linear"`` multiplies by 1 − IoU from ``iou_above`` on; ``"gaussian"`` multiplies by
            exp(−IoU² / ``sigma``) whatever the overlap.
        iou_above: Overlap from which the linear method takes effect.
        sigma: Width of the Gaussian method, in squares of IoU.
        score_floor: A box is dropped as soon as its score falls under this.
        num_groups: How many groups there are.

    Returns:
        The decayed scores, 0 for boxes that were dropped.

    Raises:
        InputError: If the method is unknown, or sigma is not positive.

    Source:
        Bodla et al. 2017, section 3, https://arxiv.org/abs/1704.04503. Differs from the authors' code: edges
        are continuous (no +1); a box that starts under the floor is dropped even if nothing overlaps it.
    """
    decay = _decay(method, iou_above, sigma)
    precise = torch.promote_types(scores.dtype, torch.float32)
    result = torch.zeros(len(scores), dtype=precise, device=scores.device)
    alive = (scores >= score_floor) & (scores > 0) & boxes.isfinite().all(dim=1)
    alive &= (groups >= 0) & (groups < num_groups)
    table = group_table(groups, alive)
    # A score of 0 marks what is padding, taken or dropped: it never is the best, and decay leaves it at 0.
    live = torch.where(table.filled, scores.to(precise)[table.member], 0.0)
    corners = boxes.to(precise)[table.member].permute(2, 0, 1)  # [4, groups, most]
    member = table.member
    while member.numel():
        steps = min(_STEPS_PER_LOOK, -(-member.shape[1] // 2))
        best, index = _greedy_steps(live, corners.contiguous(), decay, steps=steps, score_floor=score_floor)
        # What was found empty-handed writes 0 to a row that may hold a result already, hence the addition.
        result.index_add_(0, member.gather(1, index).flatten(), best.flatten())
        live, corners, member = _what_is_left(live, corners, member)
    return result.to(scores.dtype)


def _decay(method: str, iou_above: float, sigma: float) -> Callable[[Tensor], Tensor]:
    """Factor on the score as a function of the overlap."""
    if method == "linear":
        return lambda iou: torch.where(iou >= iou_above, 1 - iou, 1.0)
    if method == "gaussian" and sigma > 0:
        return lambda iou: iou.square_().mul_(-1 / sigma).exp_()
    raise InputError(
        f"soft_nms expects method 'linear' or 'gaussian' and a sigma above 0; got {method!r} and {sigma}"
        "; correct the suppression settings"
    )


def _greedy_steps(
    live: Tensor, corners: Tensor, decay: Callable[[Tensor], Tensor], *, steps: int, score_floor: float
) -> tuple[Tensor, Tensor]:
    """Take the best of each row ``steps`` times, lowering ``live`` ([groups, most]) in place.

    Returns:
        Scores and places of what was taken, [groups, steps] each; a score is 0 where nothing was left.
    """
    low, high = corners[:2], corners[2:]  # [2, groups, most] each
    area = (high - low).prod(dim=0)
    taken, places = [], []
    for _ in range(steps):
        best, place = live.max(dim=1, keepdim=True)
        taken.append(best)
        places.append(place)
        chosen = corners.gather(2, place.expand(4, -1, -1))
        sides = torch.minimum(high, chosen[2:]).sub_(torch.maximum(low, chosen[:2])).clamp_(min=0)
        shared = sides[0].mul_(sides[1])
        union = (area + area.gather(1, place)).sub_(shared)
        iou = shared.div_(union.clamp_(min=torch.finfo(union.dtype).tiny))
        live.mul_(decay(iou)).scatter_(1, place, 0.0)
        live.masked_fill_(live < score_floor, 0.0)
    return torch.cat(taken, dim=1), torch.cat(places, dim=1)


def _what_is_left(live: Tensor, corners: Tensor, member: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cut away groups that are done, and columns that no group needs any more."""
    left = (live > 0).sum(dim=1)
    rows = left.nonzero()[:, 0]
    width = int(left.max())
    # Stable, so that among equal scores the first in the caller's order still comes first.
    order = (live[rows] <= 0).to(torch.uint8).argsort(dim=1, stable=True)[:, :width]
    kept = corners[:, rows].gather(2, order.expand(4, -1, -1))
    return live[rows].gather(1, order), kept, member[rows].gather(1, order)
