"""Weights of classes that are seen unequally often."""

import math

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from snellen.errors import InputError

__all__ = [
    "class_balanced_weights",
    "evened_weights",
    "inverse_frequency_weights",
    "median_frequency_weights",
]


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


def inverse_frequency_weights(
    counts: Integer[Tensor, " num_classes"], *, power: float = 1.0
) -> Float[Tensor, " num_classes"]:
    """Weight of each class: the inverse of how often it is seen, to a power.

    Args:
        counts: Examples of each class.
        power: 1 lets every class have the same part in the loss, 0.5 (the square root) goes half of the way in
            logarithms, 0 leaves all classes alike.

    Returns:
        Weights, float32, under which the mean over the examples is 1; 0 for classes without examples.

    Raises:
        InputError: If ``power`` is negative.

    Source:
        King and Zeng 2001, "Logistic regression in rare events data", eq. 8: with a power of 1 these are the weights
        that scikit-learn calls ``balanced``. Square root: Mikolov et al. 2013 for sampling, Mahajan et al. 2018,
        section 2.2, https://arxiv.org/abs/1805.00932.
    """
    if power < 0:
        raise InputError(f"power must be 0 or more; got {power}. 1 is the inverse frequency, 0.5 its square root.")
    number = counts.double()
    weights = torch.where(number > 0, number.clamp(min=1) ** -power, 0.0)
    return evened_weights(weights, counts)


def median_frequency_weights(
    pixels: Integer[Tensor, " num_classes"], image_pixels: Integer[Tensor, " num_classes"]
) -> Float[Tensor, " num_classes"]:
    """Weight of each class of pixels: the median of the classes' frequencies over its own.

    The frequency of a class is its share of the pixels of the images that show it, so that a class which is rare among
    the images, but large where it is, gets no more weight than one that is everywhere.

    Args:
        pixels: Of each class.
        image_pixels: Of the images that show each class.

    Returns:
        Weights, float32; 0 for classes without pixels.

    Source:
        Eigen & Fergus 2015, section 6.3.2, https://arxiv.org/abs/1411.4734. The median of an even number of classes is
        the mean of the middle two.
    """
    seen = pixels > 0
    frequency = torch.where(seen, pixels.double() / image_pixels.clamp(min=1), 1.0)
    if not bool(seen.any()):
        return torch.zeros_like(frequency, dtype=torch.float32)
    median = frequency[seen].quantile(0.5)
    return torch.where(seen, median / frequency, 0.0).float()


def evened_weights(
    weights: Float[Tensor, " num_classes"], counts: Integer[Tensor, " num_classes"]
) -> Float[Tensor, " num_classes"]:
    """Return weights at the scale at which their mean over the examples is 1.

    A loss that is a mean over images then keeps its size, and a learning rate its meaning, whatever the weights.

    Args:
        weights: Of the classes, 0 or more.
        counts: Examples of each class.

    Returns:
        Float32; all 0 where no example has a weight.
    """
    number, wanted = counts.double(), weights.double()
    total = (wanted * number).sum()
    return (wanted * number.sum() / total.clamp(min=torch.finfo(torch.float64).tiny)).float()
