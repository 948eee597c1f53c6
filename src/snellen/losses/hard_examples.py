"""Which examples a step should learn from: those that the model gets most wrong."""

from math import log

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from snellen.ops import kept_by_nms

__all__ = ["hard_negatives", "hard_pixels", "hardest"]


def hardest(
    losses: Float[Tensor, "*batch num_regions"],
    boxes: Float[Tensor, "*batch num_regions 4"] | None,
    groups: Int64[Tensor, "*batch num_regions"],
    *,
    keep: int,
    nms_iou: float = 0.7,
) -> Bool[Tensor, "*batch num_regions"]:
    """True for the regions of each group with the highest losses, near duplicates left out.

    Neighbouring regions have nearly the same loss; without suppression one difficult place would take all
    slots. Positives and negatives are not told apart: what is hard is kept.

    Args:
        losses: How wrong the model is about each region (classification and box together). −inf for regions
            that are not there. NaN counts as the highest loss, so that a model gone mad is noticed.
        boxes: Where the regions are, in pixels; ``None`` to skip suppression.
        groups: What each region competes in, from 0: the row of its image in the batch.
        keep: Most regions of each group.
        nms_iou: A region is left out if it overlaps one of higher loss by more than this.

    Source:
        Shrivastava et al. 2016 (OHEM), section 4.1, https://arxiv.org/abs/1604.03540.
    """
    shape = losses.shape
    loss = losses.detach().flatten().float().nan_to_num(nan=torch.inf, neginf=-torch.inf, posinf=torch.inf)
    group = groups.expand(shape).flatten()
    if loss.numel() == 0:
        return torch.zeros(shape, dtype=torch.bool, device=losses.device)
    if boxes is not None:
        # The kernel of suppression waits for the device anyway; reading the number of groups adds little.
        num_groups = int(group.max()) + 1
        kept = kept_by_nms(boxes.detach().flatten(0, -2), loss, group, iou_above=nms_iou, num_groups=num_groups)
        loss = loss.masked_fill(~kept, -torch.inf)
    order = loss.argsort(descending=True, stable=True)
    order = order[group[order].argsort(stable=True)]
    ordered = group[order].contiguous()
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(ordered, ordered)
    chosen = torch.zeros_like(loss, dtype=torch.bool)
    chosen[order] = rank < keep
    return (chosen & (loss > -torch.inf)).view(shape)


def hard_negatives(
    losses: Float[Tensor, "*batch num"],
    positive: Bool[Tensor, "*batch num"],
    negative: Bool[Tensor, "*batch num"],
    *,
    ratio: float = 3,
) -> Bool[Tensor, "*batch num"]:
    """True for the negatives of each image with the highest losses, a fixed number for each positive.

    Shapes are static and nothing waits for an accelerator.

    Args:
        losses: Confidence loss of every box of each image. NaN counts as the highest.
        positive: Boxes that answer for an object; an image without any gets no negatives.
        negative: Candidates; none is positive too.
        ratio: Negatives for each positive of the same image, at most.

    Source:
        Liu et al. 2016 (SSD), section 2.2 (hard negative mining), https://arxiv.org/abs/1512.02325.
    """
    most = positive.sum(dim=-1, keepdim=True) * ratio
    loss = losses.detach().masked_fill(~negative, -torch.inf)
    # The rank of each: where it stands in the sorted order.
    rank = loss.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    return (rank < most) & negative


def hard_pixels(
    losses: Float[Tensor, "batch height width"],
    valid: Bool[Tensor, "batch height width"],
    *,
    below: float = 0.7,
    least_share: float = 1 / 16,
) -> Bool[Tensor, "batch height width"]:
    """True for the pixels of a batch whose class is not probable yet, and always for a share of the worst.

    Args:
        losses: Cross-entropy of every pixel in nats. NaN counts as the highest loss.
        valid: False for pixels that count for nothing.
        below: Pixels are hard while the probability of their class is below this, 0..1.
        least_share: At least this share of all pixels is kept, the hardest, 0..1.

    Source:
        Wu et al. 2016, section 3.1 ("online bootstrapping"), https://arxiv.org/abs/1604.04339; Shrivastava et al. 2016.
    """
    loss = losses.detach().float().nan_to_num(nan=torch.inf).masked_fill(~valid, -torch.inf)
    least = max(1, round(least_share * loss.numel()))
    limit = loss.flatten().topk(least).values[-1].clamp(max=-log(below) if below > 0 else torch.inf)
    return valid & (loss >= limit)
