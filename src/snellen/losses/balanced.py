"""Weights of classes that are seen unequally often."""

import math

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from snellen.errors import InputError

__all__ = ["class_balanced_weights"]


def class_balanced_weights(counts: Integer[Tensor, " num_classes"], beta: float) -> Float[Tensor, " num_classes"]:
    """Weight of each class: the inverse of its effective number of examples.

    The effective number of n examples is (1 − β^n) / (1 − β): the n-th adds less than the first, because it is
    likely to resemble one that is there already.

    Args:
        counts: Examples of each class.
        beta: 0 gives every class the same weight; towards 1 it becomes the inverse frequency. 1 itself is
            taken as that limit.

    Returns:
        Weights, float32, with a sum that is the number of classes that have examples; 0 for the others.

    Raises:
        InputError: If ``beta`` lies outside 0..1.

    Source:
        Cui et al. 2019, eq. 2 and section 4, https://arxiv.org/abs/1901.05555. Differs: a class without
        examples, for which the paper divides by 0, has weight 0.
    """
    if not 0 <= beta <= 1:
        raise InputError(
            f"class_balanced_weights expects beta in 0..1; got {beta}. The paper uses 0.9, 0.99, 0.999 and 0.9999"
        )
    number = counts.double()
    # In float64, and by expm1: 1 - 0.9999 ** n would lose most of its digits in float32.
    effective = number if beta == 1 else -torch.expm1(number * math.log(beta)) if beta > 0 else (number > 0).double()
    seen = number > 0
    weights = torch.where(seen, 1 / torch.where(seen, effective, 1.0), 0.0)
    return (weights * seen.sum() / weights.sum().clamp(min=torch.finfo(torch.float64).tiny)).float()
