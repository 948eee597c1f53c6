"""Which reference box is responsible for which object."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

__all__ = ["Matches", "match_by_iou"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matches:
    """The outcome of matching: every reference is positive, negative, or neither.

    Attributes:
        object_index: The object with the highest overlap, whether or not it is high enough.
        positive: The reference answers for that object.
        negative: The reference must say "background".
    """

    object_index: Int64[Tensor, "*batch num_references"]
    positive: Bool[Tensor, "*batch num_references"]
    negative: Bool[Tensor, "*batch num_references"]


def match_by_iou(
    iou: Float[Tensor, "*batch num_objects num_references"],
    valid: Bool[Tensor, "*batch num_objects"],
    *,
    positive_from: float,
    negative_below: float,
    keep_best: bool,
) -> Matches:
    """Match references to objects by overlap.

    Args:
        iou: Overlap of each object with each reference.
        valid: False on padding rows, which match nothing.
        positive_from: Overlap from which a reference is positive.
        negative_below: Overlap under which it is negative; between the two it is neither.
        keep_best: Whether the references that overlap an object most are positive whatever their overlap, so
            that no object goes without (references that do not touch it at all stay out).

    Returns:
        Matches over the references. Without objects all are negative.

    Source:
        Ren et al. 2015 (Faster R-CNN), section 3.1.2, https://arxiv.org/abs/1506.01497.
    """
    if iou.shape[-2] == 0:
        nothing = iou.new_zeros((*iou.shape[:-2], iou.shape[-1]), dtype=torch.bool)
        return Matches(object_index=nothing.long(), positive=nothing, negative=~nothing)
    iou = iou.masked_fill(~valid[..., None], -1.0)
    best, object_index = iou.max(dim=-2)
    positive = best >= positive_from
    if keep_best:
        most = iou.amax(dim=-1, keepdim=True)
        positive = positive | ((iou == most) & (most > 0)).any(dim=-2)
    return Matches(object_index=object_index, positive=positive, negative=(best < negative_below) & ~positive)
