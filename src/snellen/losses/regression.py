"""Losses of distance, unreduced."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

__all__ = ["smooth_l1"]


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
