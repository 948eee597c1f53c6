"""Overlap of matched pairs of boxes, and its three extensions that tell apart boxes which do not touch.

All have finite gradients everywhere: for boxes that are apart, are points or lines, or are inside out.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["ciou", "diou", "giou", "paired_iou"]

# A union, an enclosing box or a squared diagonal under this is taken as nothing. In pixels nothing real is as
# small: float32 cannot tell apart coordinates of 1000 px that are closer than 6e-5 px.
_NOTHING = 1e-12  # square pixels


def paired_iou(first: Float[Tensor, "*batch 4"], second: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    """Intersection over union of each pair; 0 where both boxes are empty.

    Args:
        first: One box of each pair.
        second: The other; leading axes broadcast.

    Returns:
        Overlap 0..1, float32 at least.

    Source:
        Jaccard 1901, with continuous edges.
    """
    shared, union, _ = _areas(first, second)
    return _ratio(shared, union)


def giou(first: Float[Tensor, "*batch 4"], second: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    """IoU minus the share of the enclosing box that neither covers: −1..1.

    Args:
        first: One box of each pair.
        second: The other; leading axes broadcast.

    Source:
        Rezatofighi et al. 2019, algorithm 1, https://arxiv.org/abs/1902.09630.
    """
    shared, union, sides = _areas(first, second)
    enclosing = sides[..., 0] * sides[..., 1]
    return _ratio(shared, union) - _ratio(enclosing - union, enclosing)


def diou(first: Float[Tensor, "*batch 4"], second: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    """IoU minus the squared distance of the centres, in squared diagonals of the enclosing box: −1..1.

    Args:
        first: One box of each pair.
        second: The other; leading axes broadcast.

    Source:
        Zheng et al. 2020, eq. 6-7, https://arxiv.org/abs/1911.08287.
    """
    first, second = _precise(first), _precise(second)
    shared, union, sides = _areas(first, second)
    apart = (first[..., :2] + first[..., 2:] - second[..., :2] - second[..., 2:]) / 2
    return _ratio(shared, union) - _ratio(apart.square().sum(dim=-1), sides.square().sum(dim=-1))


def ciou(first: Float[Tensor, "*batch 4"], second: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    """``diou`` minus a weighted difference of the aspect ratios.

    The weight α is a constant for the gradient.

    Args:
        first: One box of each pair.
        second: The other; leading axes broadcast.

    Source:
        Zheng et al. 2020, eq. 8-11; α as in eq. 11, without the authors' later rule that it is 0 under an IoU
        of 0.5.
    """
    difference = _slope(_precise(first)) - _slope(_precise(second))
    penalty = 4 / math.pi**2 * difference.square()
    with torch.no_grad():
        distance = 1 - paired_iou(first, second) + penalty
        weight = _ratio(penalty, distance)
    return diou(first, second) - weight * penalty


def _precise(boxes: Tensor) -> Tensor:
    return boxes.to(torch.promote_types(boxes.dtype, torch.float32))


def _areas(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Intersection, union, and the sides of the enclosing box ([*batch, 2])."""
    first, second = _precise(first), _precise(second)
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    # A box inside out is empty: a product of two negative sides must not pass for an area.
    area = (first[..., 2:] - first[..., :2]).clamp(min=0).prod(dim=-1)
    other = (second[..., 2:] - second[..., :2]).clamp(min=0).prod(dim=-1)
    # Over all corners, so that the centres lie within it even for boxes inside out.
    most = torch.maximum(torch.maximum(first[..., :2], first[..., 2:]), torch.maximum(second[..., :2], second[..., 2:]))
    least = torch.minimum(
        torch.minimum(first[..., :2], first[..., 2:]), torch.minimum(second[..., :2], second[..., 2:])
    )
    return shared, area + other - shared, most - least


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """``part / whole``; 0 with gradient 0 where the whole is nothing."""
    some = whole > _NOTHING
    return torch.where(some, part, 0.0) / torch.where(some, whole, 1.0)


def _slope(boxes: Tensor) -> Tensor:
    """Angle whose tangent is width over height; that of a square for a point."""
    width, height = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).unbind(dim=-1)
    some = width.square() + height.square() > _NOTHING
    # Not atan(width / height): a line of height 0 has an angle too.
    return torch.atan2(torch.where(some, width, 1.0), torch.where(some, height, 1.0))
