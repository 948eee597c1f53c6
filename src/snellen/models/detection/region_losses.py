"""What a head that judges regions should say, and how wrong it is: one loss for each region.

Shapes: B images, R regions for each image, K classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from snellen.losses import balanced_l1, softmax_focal_loss
from snellen.losses.box_overlap import ciou_loss, diou_loss, giou_loss, iou_loss
from snellen.ops import decode_boxes, encode_boxes
from snellen.ops.constants import constant_on
from snellen.structures import Regions, TensorRecord

__all__ = ["OFFSET_WEIGHTS", "BoxLoss", "ClassLoss", "RegionTargets", "box_losses", "class_losses"]

# Brings the offsets to about unit variance; Girshick 2015, section 2.3, as in all later code of the family.
OFFSET_WEIGHTS = (10.0, 10.0, 5.0, 5.0)

ClassLoss = Literal["cross_entropy", "focal"]
BoxLoss = Literal["smooth_l1", "balanced_l1", "iou", "giou", "diou", "ciou"]

_OVERLAP_LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "iou": iou_loss,
    "giou": giou_loss,
    "diou": diou_loss,
    "ciou": ciou_loss,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionTargets(TensorRecord):
    """What the head should say about each region.

    Attributes:
        labels: 0 background, 1…K objects, −1 not in the loss.
        boxes: Of the object, on the canvas.
        objects: Which of the image's objects it is.
    """

    labels: Int64[Tensor, "batch num_regions"]
    boxes: Float[Tensor, "batch num_regions 4"]
    objects: Int64[Tensor, "batch num_regions"]


def class_losses(
    logits: Float[Tensor, "batch num_regions num_classes_and_background"], goal: RegionTargets, *, kind: ClassLoss
) -> Float[Tensor, "batch num_regions"]:
    """Loss of the class of each region; 0 where the label is −1."""
    if kind == "focal":
        loss = softmax_focal_loss(logits, goal.labels.clamp(min=0))
        return loss.masked_fill(goal.labels < 0, 0.0)
    loss = functional.cross_entropy(logits.flatten(0, 1), goal.labels.flatten(), ignore_index=-1, reduction="none")
    return loss.view_as(goal.labels)


def box_losses(
    offsets: Float[Tensor, "batch num_regions num_classes_and_background 4"],
    regions: Regions,
    goal: RegionTargets,
    *,
    kind: BoxLoss,
    beta: float,
) -> Float[Tensor, "batch num_regions"]:
    """Loss of the box of each region, by the offsets of its own class; 0 where it shows no object.

    Args:
        offsets: As predicted.
        regions: What they start from.
        goal: What they should reach.
        kind: A distance of the four offsets, summed, or one minus an overlap of the boxes.
        beta: Where smooth L1 turns.

    Source:
        Girshick 2015 (Fast R-CNN), eq. 2-3; Pang et al. 2019 (Libra R-CNN), eq. 8; overlaps: see ``snellen.losses``.
    """
    column = goal.labels.clamp(min=0)[..., None, None].expand(-1, -1, 1, 4)
    own = offsets.gather(2, column).squeeze(2)  # [B, R, 4]
    if kind in _OVERLAP_LOSSES:
        # Padding is a point without sides, where the gradient of an overlap may not be finite.
        shows = (goal.labels > 0)[..., None]
        boxes = decode_boxes(own, regions.boxes, weights=OFFSET_WEIGHTS)
        unit = constant_on(boxes.device, (0.0, 0.0, 1.0, 1.0), boxes.dtype)
        distance = _OVERLAP_LOSSES[kind](torch.where(shows, boxes, unit), torch.where(shows, goal.boxes, unit))
    else:
        wanted = encode_boxes(goal.boxes, regions.boxes, weights=OFFSET_WEIGHTS)
        if kind == "balanced_l1":
            distance = balanced_l1(own, wanted).sum(dim=-1)
        else:
            distance = functional.smooth_l1_loss(own, wanted, beta=beta, reduction="none").sum(dim=-1)
    return distance.masked_fill(goal.labels <= 0, 0.0)
