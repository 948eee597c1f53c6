"""A fixed number of positives and negatives, drawn without a data-dependent shape."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

__all__ = ["Drawn", "draw_balanced"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """Slots filled with references.

    Attributes:
        index: The reference in each slot.
        positive: The slot holds a positive.
        valid: False on slots that stayed empty (too few candidates).
    """

    index: Int64[Tensor, "*batch slots"]
    positive: Bool[Tensor, "*batch slots"]
    valid: Bool[Tensor, "*batch slots"]


def draw_balanced(
    positive: Bool[Tensor, "*batch num"],
    negative: Bool[Tensor, "*batch num"],
    priority: Float[Tensor, "*batch num"],
    *,
    slots: int,
    positive_share: float,
) -> Drawn:
    """Draw at most ``positive_share * slots`` positives and fill up with negatives.

    Args:
        positive: Candidates of the first kind.
        negative: Candidates of the second kind; none is of both kinds.
        priority: In [0, 1); higher is drawn first. Uniform noise draws at random.
        slots: Number of slots; the result has fewer if there are fewer references.
        positive_share: Most positives, as a share of ``slots``.

    Source:
        Girshick 2015 (Fast R-CNN), section 2.3; Ren et al. 2015, section 3.1.3. The two-stage top-k with a
        fixed number of slots is ours; it draws the same distribution as two random permutations.
    """
    count = positive.shape[-1]
    most = min(int(slots * positive_share), count)
    best, where = priority.masked_fill(~positive, -1.0).topk(most, dim=-1)
    # Negatives rank from 1 to 2 (2 where 1 + the largest priority rounds up), drawn positives from 3 on,
    # everything else at 0: one top-k fills the slots.
    rank = torch.where(negative, priority + 1, 0.0)
    rank = rank.scatter(-1, where, torch.where(best >= 0, best + 3, rank.gather(-1, where)))
    best, index = rank.topk(min(slots, count), dim=-1)
    return Drawn(index=index, positive=best >= 3, valid=best > 0)
