"""What a network that gives every pixel a class minimises, and the weights that classes have in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from snellen.errors import ConfigError, did_you_mean
from snellen.losses import (
    dice_loss,
    evened_weights,
    hard_pixels,
    jaccard_loss,
    lovasz_hinge_loss,
    lovasz_softmax_loss,
    median_frequency_weights,
    pixel_cross_entropy,
    softmax_focal_loss,
    tversky_loss,
)
from snellen.models.classification.objective import class_weights_of
from snellen.models.field_checks import NOT_NEGATIVE, SHARE, Range, check_fields

__all__ = [
    "PIXEL_WEIGHTINGS",
    "PixelLoss",
    "PixelObjective",
    "PixelWeighting",
    "pixel_class_weights",
    "pixel_counts",
    "pixel_loss",
]

PixelLoss = Literal[
    "cross_entropy", "focal", "ohem", "dice", "jaccard", "lovasz", "lovasz_hinge", "tversky", "focal_tversky"
]
PixelWeighting = Literal["median_frequency", "inverse", "inverse_sqrt", "effective_number"]
PIXEL_WEIGHTINGS: tuple[PixelWeighting, ...] = get_args(PixelWeighting)
FOCAL_TVERSKY_POWER = 0.75  # Abraham & Khan 2018, section 3: 1/γ of 4/3
_WHOLE_NOT_NEGATIVE = Range(lambda value: value >= 0, "a whole number of 0 or more", is_whole=True)
Logits = Float[Tensor, "batch num_classes height width"]
Labels = Integer[Tensor, "batch height width"]
Valid = Bool[Tensor, "batch height width"]
Weights = Float[Tensor, " num_classes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelObjective:
    """How the loss of one class for each pixel is made.

    Attributes:
        loss: Of single pixels: ``cross_entropy``; ``focal``, which fades where the answer is right already; ``ohem``,
            the cross-entropy of hard pixels alone. Of the overlap of each class over a batch: ``dice``, ``jaccard``,
            ``lovasz``, ``lovasz_hinge`` (two classes), ``tversky``, ``focal_tversky``.
        gamma: How much ``focal`` fades.
        label_smoothing: Share of the target of ``cross_entropy`` that is spread evenly over all classes, 0..1.
        hard_below: Pixels are hard for ``ohem`` while the probability of their class is below this, 0..1.
        hard_share: Of all pixels, the hardest, that ``ohem`` keeps at least, 0..1.
        tversky_alpha: Weight of false alarms in ``tversky`` and ``focal_tversky``.
        tversky_beta: Weight of misses there.
        dice_weight: Of a dice loss beside; 0 leaves it out.
        border_weight: Greatest weight of pixels between two objects of other classes than the first, beside a weight of
            1; 0 for none. The paper has 10. For losses of single pixels.
        border_sigma: Spread of that, in pixels of the resized image.
        ignored_band: Pixels of the resized image on both sides of a border between classes that count for nothing.

    Raises:
        ConfigError: If a number is out of range, or a word is none of those.

    Source:
        See the functions of ``snellen.losses``. Border weights: Ronneberger et al. 2015, eq. 2,
        https://arxiv.org/abs/1505.04597.
    """

    loss: PixelLoss = "cross_entropy"
    gamma: float = 2.0
    label_smoothing: float = 0.0
    hard_below: float = 0.7
    hard_share: float = 1 / 16
    tversky_alpha: float = 0.3
    tversky_beta: float = 0.7
    dice_weight: float = 0.0
    border_weight: float = 0.0
    border_sigma: float = 5.0
    ignored_band: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        numbers = dict.fromkeys(
            ("gamma", "tversky_alpha", "tversky_beta", "dice_weight", "border_weight"), NOT_NEGATIVE
        )
        shares = dict.fromkeys(("label_smoothing", "hard_below", "hard_share"), SHARE)
        check_fields(
            self,
            **numbers,
            **shares,
            border_sigma=Range(lambda value: value > 0, "a number above 0"),
            ignored_band=_WHOLE_NOT_NEGATIVE,
        )
        if self.border_weight > 0 and self.loss not in _OF_PIXELS:
            raise ConfigError(
                f"border_weight weighs pixels, and {self.loss} counts whole classes. Choose {' or '.join(_OF_PIXELS)}."
            )


def pixel_loss(
    objective: PixelObjective,
    logits: Logits,
    labels: Labels,
    valid: Valid,
    *,
    class_weights: Weights | None = None,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
) -> Float[Tensor, ""]:
    """Return the loss of a batch: a mean over the pixels that count in nats, or one over the classes, 0..1.

    Args:
        objective: How it is made.
        logits: Raw scores.
        labels: 0..K-1 where ``valid``, ``IGNORE_LABEL`` elsewhere.
        valid: False for pixels that count for nothing; without any that counts the loss is 0.
        class_weights: Factors of the classes; None for none. A sum of weighted pixels is divided by their number, a sum
            of weighted classes by the number of classes.
        pixel_weights: Factors of the pixels, for losses of single pixels; None for none.
    """
    of_pixels = _OF_PIXELS.get(objective.loss)
    if of_pixels is None:
        losses = _OF_CLASSES[objective.loss](objective, logits, labels, valid)
        return (losses if class_weights is None else losses * class_weights).mean()
    losses, counted = of_pixels(objective, logits, labels, valid)
    if class_weights is not None:
        losses = losses * class_weights[labels.long() * valid]
    if pixel_weights is not None:
        losses = losses * pixel_weights
    return losses.sum() / counted.sum().clamp(min=1)


def _cross_entropy(objective: PixelObjective, logits: Logits, labels: Labels, valid: Valid) -> tuple[Tensor, Tensor]:
    return pixel_cross_entropy(logits, labels, label_smoothing=objective.label_smoothing), valid


def _focal(objective: PixelObjective, logits: Logits, labels: Labels, valid: Valid) -> tuple[Tensor, Tensor]:
    losses = softmax_focal_loss(logits.movedim(1, -1), labels.long() * valid, gamma=objective.gamma)
    return losses * valid, valid


def _ohem(objective: PixelObjective, logits: Logits, labels: Labels, valid: Valid) -> tuple[Tensor, Tensor]:
    losses = pixel_cross_entropy(logits, labels)
    hard = hard_pixels(losses, valid, below=objective.hard_below, least_share=objective.hard_share)
    return losses * hard, hard


def _tversky(
    objective: PixelObjective, logits: Logits, labels: Labels, valid: Valid, *, gamma: float = 1.0
) -> Float[Tensor, " num_classes"]:
    alpha, beta = objective.tversky_alpha, objective.tversky_beta
    return tversky_loss(logits, labels, valid, alpha=alpha, beta=beta, gamma=gamma)


def _hinge(_objective: PixelObjective, logits: Logits, labels: Labels, valid: Valid) -> Tensor:
    return lovasz_hinge_loss(logits[:, 1] - logits[:, 0], labels == 1, valid)


# Losses of single pixels, 0 where they do not count, and which of them the sum is divided by.
_OF_PIXELS: Mapping[str, Callable[[PixelObjective, Logits, Labels, Valid], tuple[Tensor, Tensor]]] = MappingProxyType(
    {"cross_entropy": _cross_entropy, "focal": _focal, "ohem": _ohem}
)
_OF_CLASSES: Mapping[str, Callable[[PixelObjective, Logits, Labels, Valid], Tensor]] = MappingProxyType(
    {
        "dice": lambda _objective, *given: dice_loss(*given),
        "jaccard": lambda _objective, *given: jaccard_loss(*given),
        "lovasz": lambda _objective, *given: lovasz_softmax_loss(*given),
        "lovasz_hinge": _hinge,
        "tversky": _tversky,
        "focal_tversky": partial(_tversky, gamma=FOCAL_TVERSKY_POWER),
    }
)


def pixel_class_weights(
    wanted: PixelWeighting | Sequence[float] | str,
    pixels: Integer[Tensor, " num_classes"] | None,
    image_pixels: Integer[Tensor, " num_classes"] | None,
    *,
    num_classes: int,
    beta: float,
) -> Weights:
    """Return the weight of each class in the loss.

    Weights that are made from counts have a mean of 1 over the training pixels, so that the loss keeps its size; those
    that are given by hand stay as they are.

    Args:
        wanted: ``median_frequency``, ``inverse`` frequency, its square root (``inverse_sqrt``), the inverse of the
            ``effective_number`` of pixels, or a number for each class.
        pixels: Of each class in the training images; needed for the words.
        image_pixels: Of the training images that show each class; needed for ``median_frequency``.
        num_classes: How many weights there must be.
        beta: Of the effective number, see ``class_weights_of``.

    Raises:
        ConfigError: If there is no such word, there are no counts for it, or the numbers are no weights.

    Source:
        Eigen & Fergus 2015, section 6.3.2, https://arxiv.org/abs/1411.4734. Differs: the scale, see above.
    """
    if isinstance(wanted, str) and wanted not in PIXEL_WEIGHTINGS:
        raise ConfigError(
            f"class_weights must be one of {', '.join(map(repr, PIXEL_WEIGHTINGS))}, or a number for each class; got "
            f"{wanted!r}.{did_you_mean(wanted, PIXEL_WEIGHTINGS)}"
        )
    if isinstance(wanted, str) and (pixels is None or image_pixels is None):
        raise ConfigError(
            f"class_weights={wanted!r} is made from the pixels of each class; got no class_pixels and image_pixels. "
            "Give them, such as class_pixels=[900, 100], image_pixels=[1000, 500]."
        )
    if wanted == "median_frequency" and pixels is not None and image_pixels is not None:
        return evened_weights(median_frequency_weights(pixels, image_pixels), pixels)
    return class_weights_of(wanted, pixels, num_classes=num_classes, beta=beta)


def pixel_counts(name: str, numbers: Sequence[int] | None, num_classes: int) -> Integer[Tensor, " num_classes"] | None:
    """Return counts as a tensor; None for none.

    Raises:
        ConfigError: If there is not one for each class.
    """
    if numbers is None:
        return None
    values: list[object] = list(numbers)
    if len(values) != num_classes or not all(isinstance(value, int) and value >= 0 for value in values):
        raise ConfigError(
            f"{name} must be {num_classes} whole numbers of 0 or more, one for each class; got {values!r}."
        )
    return torch.tensor(values, dtype=torch.int64)
