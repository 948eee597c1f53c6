"""What the numbers that a head says of an image mean: the loss against a type of target, and the predictions.

A trunk is the same whatever it learns. One class is answered by the softmax of ``ImageClassifier``; here stand a
question for each class, and numbers in the units of the data.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from snellen.errors import ConfigError
from snellen.losses import binary_cross_entropy, focal_loss, smooth_l1
from snellen.models.classification.answer import Answer
from snellen.models.classification.class_answer import ClassAnswer
from snellen.models.classification.heads import Head
from snellen.structures import (
    ClassTarget,
    LabelSetScores,
    LabelSetTarget,
    Target,
    ValueEstimates,
    ValueTarget,
)

__all__ = ["ANSWERS", "Answer", "ClassAnswer", "LabelSetAnswer", "LabelSetLoss", "ValueAnswer", "ValueLoss"]

LabelSetLoss = Literal["cross_entropy", "focal"]
ValueLoss = Literal["smooth_l1", "squared_error", "absolute_error"]
_LEAST_SHARE = 1e-3  # of images that show a class, for the first bias; rarer ones begin as if they were as frequent


class LabelSetAnswer(Answer):
    """Which of the classes an image shows: a probability for each by a sigmoid of its own, never a softmax.

    The loss is the mean over all answers that are known. Where the shares of images that show each class are given,
    the last bias begins with their logits, so that rare classes need not be unlearned first.

    Args:
        num_classes: At least 1.
        loss: ``cross_entropy`` or ``focal``.
        gamma: Of the focal loss: how much what is right already fades.
        positive_weights: Factor on the loss of each class where an image shows it; one number for all; None for none.
        label_smoothing: Share of each answer that is drawn to one half, 0..1.
        shares: Of the training images that show each class, 0..1; None where nothing is known.

    Raises:
        ConfigError: If a number is out of range, or there is not one for each class.

    Source:
        Cross-entropy: Bishop 2006, eq. 4.90. Focal loss, and the first bias: Lin et al. 2017, eq. 5 and section 4.1,
        https://arxiv.org/abs/1708.02002.
    """

    target_type = LabelSetTarget
    positive_weights: Tensor | None

    def __init__(
        self,
        num_classes: int,
        *,
        loss: LabelSetLoss = "cross_entropy",
        gamma: float = 2.0,
        positive_weights: Sequence[float] | float | None = None,
        label_smoothing: float = 0.0,
        shares: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        _check_word("loss", loss, get_args(LabelSetLoss))
        if gamma < 0 or not 0 <= label_smoothing < 1:
            raise ConfigError(
                f"gamma must be 0 or more and label_smoothing in 0..1; got {gamma} and {label_smoothing}."
            )
        self.kind, self.gamma, self.label_smoothing = loss, gamma, label_smoothing
        self.loss_name = "focal" if loss == "focal" else "binary_cross_entropy"
        weights = None
        if positive_weights is not None:
            weights = _row("positive_weights", positive_weights, num_classes, positive=True)
        self.register_buffer("positive_weights", weights, persistent=False)  # of the loss, not of the model
        self.shares = None if shares is None else _row("shares", shares, num_classes)

    def loss(self, logits: Float[Tensor, "batch num_classes"], targets: LabelSetTarget) -> Float[Tensor, ""]:
        """Return the mean over the answers that are known, in nats; 0 where none is."""
        shown = targets.shown * (1 - self.label_smoothing) + self.label_smoothing / 2
        if self.kind == "focal":
            losses = focal_loss(logits, shown, alpha=None, gamma=self.gamma)
        else:
            losses = binary_cross_entropy(logits, shown)
        if self.positive_weights is not None:
            losses = losses * (1 + shown * (self.positive_weights - 1))
        return _known_mean(losses, targets.known)

    def decode(self, logits: Float[Tensor, "batch num_classes"]) -> list[LabelSetScores]:
        """Return the probabilities of each image."""
        return [LabelSetScores(probs=probs) for probs in logits.float().sigmoid().unbind()]

    def prepare(self, head: Head) -> None:
        """Let the head say no to any class, and begin with the share of the images that show it."""
        head.allow_negative()
        if self.shares is not None and head.bias is not None:
            share = self.shares.clamp(_LEAST_SHARE, 1 - _LEAST_SHARE)
            with torch.no_grad():
                head.bias.copy_(share.logit())


class ValueAnswer(Answer):
    """Numbers in the units of the data.

    The head works in standard units: the mean and the spread of the training images are taken off and put back here,
    and lie in buffers, so that weights and exports hold them.

    Args:
        num_values: At least 1.
        loss: ``smooth_l1`` (Huber's), ``squared_error`` or ``absolute_error``, in spreads of the training images.
        beta: Error in spreads from which ``smooth_l1`` grows linearly; 0 is the absolute error.
        value_mean: Of each value over the training images, in its unit; 0 if None.
        value_spread: Standard deviation of each value over the training images, in its unit; 1 if None.

    Raises:
        ConfigError: If a number is out of range, or there is not one for each value.

    Source:
        Standardised targets: LeCun et al. 1998, "Efficient backprop", section 4.3. Smooth L1: Huber 1964, "Robust
        estimation of a location parameter", in the form of Girshick 2015, eq. 3.
    """

    target_type = ValueTarget
    value_mean: Tensor
    value_spread: Tensor

    def __init__(
        self,
        num_values: int,
        *,
        loss: ValueLoss = "smooth_l1",
        beta: float = 1.0,
        value_mean: Sequence[float] | None = None,
        value_spread: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        _check_word("loss", loss, get_args(ValueLoss))
        if beta < 0:
            raise ConfigError(f"beta must be 0 or more; got {beta}.")
        self.loss_name, self.beta = loss, beta
        mean, spread = 0.0 if value_mean is None else value_mean, 1.0 if value_spread is None else value_spread
        self.register_buffer("value_mean", _row("value_mean", mean, num_values))
        self.register_buffer("value_spread", _row("value_spread", spread, num_values, positive=True))

    def loss(self, logits: Float[Tensor, "batch num_values"], targets: ValueTarget) -> Float[Tensor, ""]:
        """Return the mean over the values that are known, in standard units; 0 where none is."""
        wanted = (targets.values - self.value_mean) / self.value_spread
        if self.loss_name == "squared_error":
            losses = (logits.float() - wanted) ** 2
        else:
            losses = smooth_l1(logits, wanted, beta=self.beta if self.loss_name == "smooth_l1" else 0.0)
        return _known_mean(losses, targets.known)

    def decode(self, logits: Float[Tensor, "batch num_values"]) -> list[ValueEstimates]:
        """Return the values of each image in the units of the data."""
        values = logits.float() * self.value_spread + self.value_mean
        return [ValueEstimates(values=row) for row in values.unbind()]

    def prepare(self, head: Head) -> None:
        """Let the head say numbers below the mean."""
        head.allow_negative()


# What a trunk can learn, by the type of the targets.
ANSWERS: Mapping[type[Target], type[Answer]] = MappingProxyType(
    {ClassTarget: ClassAnswer, LabelSetTarget: LabelSetAnswer, ValueTarget: ValueAnswer}
)


def _known_mean(losses: Float[Tensor, "batch n"], known: Tensor) -> Float[Tensor, ""]:
    # torch.where, not a product: an unknown entry may hold anything.
    total = torch.where(known, losses, 0.0).sum()
    return total / known.sum().clamp(min=1)


def _row(name: str, numbers: Sequence[float] | float, count: int, *, positive: bool = False) -> Tensor:
    values = [numbers] * count if isinstance(numbers, int | float) else list(numbers)
    fits = len(values) == count and all(isinstance(value, int | float) for value in values)
    row = torch.tensor(values if fits else [], dtype=torch.float32)
    if not fits or not bool(row.isfinite().all()) or (positive and not bool((row > 0).all())):
        limit = " above 0" if positive else ""
        raise ConfigError(f"{name} must be {count} finite numbers{limit}, one for each output; got {numbers!r}.")
    return row


def _check_word(name: str, word: str, words: Sequence[str]) -> None:
    if word not in words:
        raise ConfigError(f"{name} must be one of {', '.join(map(repr, words))}; got {word!r}.")
