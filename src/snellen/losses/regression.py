"""Losses of distance, unreduced."""

import math

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

__all__ = ["balanced_l1", "smooth_l1"]


def smooth_l1(
    predictions: Float[Tensor, "*batch"], targets: Float[Tensor, "*batch"], *, beta: float
) -> Float[Tensor, "*batch"]:
    """Absolute difference with a parabola below ``beta``.

    Args:
        predictions: Any range.
        targets: Any range.
        beta: Difference, in the units of the arguments, where the parabola meets the line; 0 gives plain L1.

    Returns:
        Loss, float32, one per element.

    Source:
        Girshick 2015, eq. 3, https://arxiv.org/abs/1504.08083 (there ``beta`` is 1).
    """
    return functional.smooth_l1_loss(predictions.float(), targets.float(), reduction="none", beta=beta)


def balanced_l1(
    predictions: Float[Tensor, "*batch"],
    targets: Float[Tensor, "*batch"],
    *,
    alpha: float = 0.5,
    gamma: float = 1.5,
) -> Float[Tensor, "*batch"]:
    """Absolute difference whose gradient rises faster than smooth L1's for small differences.

    The gradient is α ln(b |x| + 1) below a difference of 1 and γ from there on, where b makes the two meet.

    Args:
        predictions: Any range.
        targets: Any range.
        alpha: Strength of the gradient of small differences, above 0; smaller is stronger.
        gamma: Gradient of large differences.

    Returns:
        Loss, float32, one per element.

    Source:
        Pang et al. 2019 (Libra R-CNN, balanced L1 loss), https://arxiv.org/abs/1904.02701.
    """
    bend = math.expm1(gamma / alpha)  # b: alpha * ln(b + 1) = gamma
    distance = (predictions.float() - targets.float()).abs()
    near = distance.clamp(max=1)
    curve = alpha / bend * (bend * near + 1) * (bend * near).log1p() - alpha * near
    # The curve at 1 plus the line from there: the paper's constant follows from continuity.
    return curve + gamma * (distance - near)
