"""What a classifier of one class for each image minimises, and the weights that classes have in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal, get_args

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from snellen.errors import ConfigError, did_you_mean
from snellen.losses import (
    class_balanced_weights,
    evened_weights,
    inverse_frequency_weights,
    logit_adjusted,
    soft_cross_entropy,
    soft_focal_loss,
)
from snellen.models.field_checks import NOT_NEGATIVE, POSITIVE, SHARE, check_fields

__all__ = [
    "CLASS_WEIGHTINGS",
    "USUAL_BETA",
    "ClassLoss",
    "ClassObjective",
    "ClassWeighting",
    "LogitAdjustment",
    "class_losses",
    "class_weights_of",
]

ClassLoss = Literal["cross_entropy", "focal"]
ClassWeighting = Literal["inverse", "inverse_sqrt", "effective_number"]
LogitAdjustment = Literal["none", "loss", "post_hoc"]
Counts = Integer[Tensor, " num_classes"]
Weights = Float[Tensor, " num_classes"]

USUAL_BETA = 0.999  # Cui et al. 2019, section 5: one of the four that they try, for classes of hundreds of images
CLASS_WEIGHTINGS: tuple[ClassWeighting, ...] = get_args(ClassWeighting)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassObjective:
    """How the loss of one class for each image is made.

    Attributes:
        loss: ``cross_entropy``, or ``focal``, which fades where the answer is right already.
        gamma: How much it fades.
        label_smoothing: Share of the target that is spread evenly over all classes, 0..1.
        logit_adjustment: ``loss`` adds the logarithms of the shares of the classes to the logits in the loss,
            ``post_hoc`` takes them off in predictions of a network that was trained without, ``none`` does neither.
        tau: Strength of that; 1 aims at the mean of the classes' errors.

    Raises:
        ConfigError: If a number is out of range, or a word is none of those.

    Source:
        Focal: Lin et al. 2017, eq. 4, https://arxiv.org/abs/1708.02002. Smoothing: Szegedy et al. 2015, section 7,
        https://arxiv.org/abs/1512.00567. Adjustment: Menon et al. 2021, eq. 9 and 10,
        https://arxiv.org/abs/2007.07314.
    """

    loss: ClassLoss = "cross_entropy"
    gamma: float = 2.0
    label_smoothing: float = 0.0
    logit_adjustment: LogitAdjustment = "none"
    tau: float = 1.0

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self, gamma=NOT_NEGATIVE, label_smoothing=SHARE, tau=POSITIVE)


def class_losses(
    objective: ClassObjective,
    logits: Float[Tensor, "batch num_classes"],
    probs: Float[Tensor, "batch num_classes"],
    *,
    class_weights: Weights | None = None,
    log_prior: Weights | None = None,
) -> Float[Tensor, " batch"]:
    """Return the loss of every image, in nats.

    Args:
        objective: How it is made.
        logits: Raw scores of the head.
        probs: Wanted share of each class; all 0 where nothing is known, which costs nothing.
        class_weights: Factors of the classes; None for none.
        log_prior: Logarithms of the shares of the classes, for ``logit_adjustment="loss"``.
    """
    if objective.logit_adjustment == "loss" and log_prior is not None:
        logits = logit_adjusted(logits, log_prior, tau=objective.tau)
    loss: Callable[..., Tensor] = soft_cross_entropy
    if objective.loss == "focal":
        loss = partial(soft_focal_loss, gamma=objective.gamma)
    return loss(logits, probs, class_weights=class_weights, label_smoothing=objective.label_smoothing)


_WEIGHTINGS: Mapping[str, Callable[[Counts, float], Weights]] = MappingProxyType(
    {
        "inverse": lambda counts, _beta: inverse_frequency_weights(counts),
        "inverse_sqrt": lambda counts, _beta: inverse_frequency_weights(counts, power=0.5),
        "effective_number": lambda counts, beta: evened_weights(class_balanced_weights(counts, beta), counts),
    }
)


def class_weights_of(
    wanted: ClassWeighting | Sequence[float] | str, counts: Counts | None, *, num_classes: int, beta: float = USUAL_BETA
) -> Weights:
    """Return the weight of each class in the loss.

    Weights that are made from counts have a mean of 1 over the training images, so that the loss keeps its size; those
    that are given by hand stay as they are.

    Args:
        wanted: ``inverse`` frequency, its square root (``inverse_sqrt``), the inverse of the ``effective_number`` of
            images, or a number for each class.
        counts: Training images of each class; needed for the words.
        num_classes: How many there must be.
        beta: Of the effective number: how much less each further image of a class adds; 0..1.

    Raises:
        ConfigError: If there is no such word, there are no counts for it, or the numbers are no weights.

    Source:
        Effective number: Cui et al. 2019, eq. 2, https://arxiv.org/abs/1901.05555. Differs: the scale, see above.
    """
    if not isinstance(wanted, str):
        return _given_weights(wanted, num_classes)
    if wanted not in _WEIGHTINGS:
        raise ConfigError(
            f"class_weights must be one of {', '.join(map(repr, CLASS_WEIGHTINGS))}, or a number for each class; got "
            f"{wanted!r}.{did_you_mean(wanted, CLASS_WEIGHTINGS)}"
        )
    if counts is None:
        raise ConfigError(
            f"class_weights={wanted!r} is made from the images of each class; got no class_counts. Give them, such as "
            "class_counts=[900, 100]."
        )
    if not 0 <= beta <= 1:
        raise ConfigError(f"beta must be a number from 0 to 1; got {beta!r}. The paper uses 0.9 to 0.9999.")
    return _WEIGHTINGS[wanted](counts, beta)


def _given_weights(numbers: Sequence[float] | float, num_classes: int) -> Weights:
    values: list[object] = list(numbers) if isinstance(numbers, Sequence) else [numbers]
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    weights = torch.tensor(values if are_numbers else [], dtype=torch.float32)
    if len(weights) != num_classes or not bool(weights.isfinite().all() and (weights >= 0).all() and weights.any()):
        raise ConfigError(
            f"class_weights must be {num_classes} finite numbers of 0 or more, one for each class and not all of them "
            f"0; got {values!r}."
        )
    return weights
