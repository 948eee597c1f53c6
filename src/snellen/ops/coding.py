"""Boxes as offsets from reference boxes, and back."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from snellen.ops.boxes import box_centers_sizes, boxes_from_centers_sizes
from snellen.ops.constants import constant_on

__all__ = ["MAX_LOG_SCALE", "decode_boxes", "encode_boxes"]

# A predicted side is at most 1000/16 times the reference's: one unlucky logit must not overflow exp().
MAX_LOG_SCALE = math.log(1000.0 / 16)  # Girshick et al., Detectron, 2018


def encode_boxes(
    boxes: Float[Tensor, "*batch 4"],
    references: Float[Tensor, "*batch 4"],
    *,
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
) -> Float[Tensor, "*batch 4"]:
    """Offsets (tx, ty, tw, th) that turn references into boxes.

    Degenerate boxes give finite offsets (sides are taken as at least 1e-6 px), so that padding rows do no
    harm.

    Args:
        boxes: What to reach.
        references: Anchors or proposals, one for each box.
        weights: Factors on the four offsets; (10, 10, 5, 5) gives them about unit variance.

    Source:
        Girshick et al. 2014 (R-CNN), appendix C, eq. 6-9, https://arxiv.org/abs/1311.2524.
    """
    centers, sides = box_centers_sizes(boxes)
    reference_centers, reference_sides = box_centers_sizes(references)
    reference_sides = reference_sides.clamp(min=1e-6)
    shift = (centers - reference_centers) / reference_sides
    scale = torch.log(sides.clamp(min=1e-6) / reference_sides)
    return torch.cat([shift, scale], dim=-1) * constant_on(boxes.device, weights, boxes.dtype)


def decode_boxes(
    offsets: Float[Tensor, "*batch 4"],
    references: Float[Tensor, "*batch 4"],
    *,
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
) -> Float[Tensor, "*batch 4"]:
    """Boxes from references and offsets; the inverse of ``encode_boxes``.

    Args:
        offsets: As predicted; the log scales are cut at ``MAX_LOG_SCALE``.
        references: Anchors or proposals, broadcast against ``offsets``.
        weights: The same as for encoding.

    Source:
        Girshick et al. 2014 (R-CNN), appendix C, eq. 1-4, https://arxiv.org/abs/1311.2524.
    """
    centers, sides = box_centers_sizes(references)
    offsets = offsets / constant_on(offsets.device, weights, offsets.dtype)
    scale = offsets[..., 2:].clamp(max=MAX_LOG_SCALE)
    return boxes_from_centers_sizes(offsets[..., :2] * sides + centers, scale.exp() * sides)
