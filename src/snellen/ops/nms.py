"""Non-maximum suppression within groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchvision.ops import nms

from snellen.ops.constants import constant_on

__all__ = ["kept_by_nms"]

ROUNDS = 6  # before the host asks whether any is still needed
MOST_COMPARED = 1 << 25  # pairs at a time, some 16 bytes each
MOST_HELD = 1 << 28  # pairs of which it is known which suppresses which, a byte each
MOST_IN_A_TABLE = 1 << 13  # boxes of a group; more go through torchvision's kernel, which holds 1 bit of a pair


def kept_by_nms(
    boxes: Float[Tensor, "num_boxes 4"],
    scores: Float[Tensor, " num_boxes"],
    groups: Int64[Tensor, " num_boxes"],
    *,
    iou_above: float,
    num_groups: int,
) -> Bool[Tensor, " num_boxes"]:
    """True for the boxes that survive greedy suppression among the boxes of their group.

    On an accelerator the pairs within each group are compared at once, and what the better ones suppress is worked out
    for all groups together in a few rounds; the host waits once for the sizes of the groups and once for every
    ``ROUNDS`` rounds, however many images there are. On the CPU groups are handled one by one.

    Args:
        boxes: All boxes of all groups. A box with a coordinate that is not finite is dropped and suppresses
            nothing.
        scores: Higher survives; a box with score −inf or NaN is dropped and suppresses nothing.
        groups: Group of each box (image, level, class or a combination), 0 … ``num_groups`` − 1.
        iou_above: A box is dropped if it overlaps a better one by more than this.
        num_groups: How many groups there are.

    Source:
        Dalal and Triggs 2005; greedy NMS as in Felzenszwalb et al. 2010, section 7.2. Kernel on the CPU: torchvision.
        The rounds: Zheng et al. 2020 (Cluster-NMS), section 3.3, https://arxiv.org/abs/2005.03572.
    """
    alive = (scores > -torch.inf) & boxes.isfinite().all(dim=1)
    if len(boxes) == 0:
        return alive
    kept_of = _kept_group_by_group if boxes.device.type == "cpu" else _kept_in_rounds
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


def _kept_in_rounds(
    boxes: Tensor, scores: Tensor, groups: Tensor, alive: Tensor, *, iou_above: float, num_groups: int
) -> Tensor:
    # By group, then best first: what is at place p of a group can only be suppressed by places before p.
    order = scores.masked_fill(~alive, -torch.inf).argsort(descending=True, stable=True)
    group = torch.where(alive, groups, num_groups)
    order = order[group[order].argsort(stable=True)]
    counted = groups.new_zeros(num_groups + 1).scatter_add_(0, group, torch.ones_like(group))  # bincount waits twice
    counts = counted[:num_groups].tolist()
    starts = [0, *accumulate(counts)]
    by_width: dict[int, list[tuple[int, int]]] = {}
    keep = alive.new_zeros(len(alive) + 1)  # the last takes what is said of nobody
    for start, count in zip(starts, counts, strict=False):
        if count > MOST_IN_A_TABLE:
            rows = order[start : start + count]
            keep[rows[nms(boxes[rows], scores[rows], iou_above)]] = True
        elif count:
            by_width.setdefault(1 << (count - 1).bit_length(), []).append((start, count))
    tables: list[_Table] = []
    for width, members in by_width.items():
        together = max(1, MOST_COMPARED // width**2)
        for first in range(0, len(members), together):
            if tables and (sum(table.over.numel() for table in tables) + together * width**2) > MOST_HELD:
                _settle(tables, keep)
                tables = []
            tables.append(_table(boxes, order, members[first : first + together], width, iou_above))
    _settle(tables, keep)
    return keep[:-1]


@dataclass(slots=True, eq=False)
class _Table:
    """Groups of about one size: their boxes best first, and which suppresses which if it survives."""

    rows: Int64[Tensor, "groups width"]
    valid: Bool[Tensor, "groups width"]
    over: Bool[Tensor, "groups width width"]  # [group, dropped, by]


def _table(boxes: Tensor, order: Tensor, members: Sequence[tuple[int, int]], width: int, iou_above: float) -> _Table:
    place = torch.arange(width, device=order.device)
    flat = [number for member in members for number in member]
    start, count = constant_on(order.device, flat, torch.int64).view(-1, 2).unbind(1)
    valid = place < count[:, None]
    rows = order[(start[:, None] + place).clamp(max=len(order) - 1)]
    x1, y1, x2, y2 = boxes[rows].unbind(-1)
    area = (x2 - x1) * (y2 - y1)
    shared = torch.minimum(x2[:, :, None], x2[:, None]).sub_(torch.maximum(x1[:, :, None], x1[:, None])).clamp_(min=0)
    height = torch.minimum(y2[:, :, None], y2[:, None]).sub_(torch.maximum(y1[:, :, None], y1[:, None])).clamp_(min=0)
    shared.mul_(height)
    union = (area[:, :, None] + area[:, None]).sub_(shared)
    over = shared.div_(union) > iou_above  # two points share nothing of nothing: NaN, which is above no threshold
    over &= (place[:, None] > place) & valid[:, None, :]
    return _Table(rows=rows, valid=valid, over=over)


def _settle(tables: Sequence[_Table], keep: Tensor) -> None:
    """Mark the boxes that survive, in ``keep``.

    Round by round, whoever is suppressed by a survivor of the round before drops out. After round t the first t of
    each chain of suppression are right, so that the rounds end, and a round that changes nothing is the last.
    """
    if not tables:
        return
    found = [table.valid for table in tables]
    is_done = False
    while not is_done:
        for _ in range(ROUNDS):
            before = found
            found = [
                table.valid & ~(table.over & kept[:, None]).any(2) for table, kept in zip(tables, before, strict=True)
            ]
        changed = torch.stack([(new != old).any() for new, old in zip(found, before, strict=True)])
        is_done = not bool(changed.any())
    for table, kept in zip(tables, found, strict=True):
        keep.scatter_(0, torch.where(kept, table.rows, len(keep) - 1).flatten(), value=True)
