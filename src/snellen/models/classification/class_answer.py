"""One class for each image."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from snellen.errors import ConfigError
from snellen.losses import log_priors, logit_adjusted
from snellen.models.classification.answer import Answer
from snellen.models.classification.objective import (
    USUAL_BETA,
    ClassLoss,
    ClassObjective,
    ClassWeighting,
    LogitAdjustment,
    class_losses,
    class_weights_of,
)
from snellen.structures import ClassScores, ClassTarget

__all__ = ["ClassAnswer"]


class ClassAnswer(Answer):
    """Which one of the classes: their probabilities by a softmax.

    The loss is the mean over the images. How often each class is seen can count in it by weights, by logits that are
    adjusted in the loss, or by logits that are adjusted in predictions.

    Args:
        num_classes: At least 1.
        loss: See ``ClassObjective``.
        gamma: See ``ClassObjective``.
        class_weights: See ``class_weights_of``; None for none.
        beta: See ``class_weights_of``.
        label_smoothing: See ``ClassObjective``.
        logit_adjustment: See ``ClassObjective``.
        tau: See ``ClassObjective``.
        class_counts: Training images of each class, for weights by a word and for adjusted logits.

    Raises:
        ConfigError: If a number is out of range, there is not one for each class, or counts are needed and not given.

    Source:
        Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs"; the losses:
        ``ClassObjective``.
    """

    target_type = ClassTarget
    # What decides which numbers are held beside the network.
    shaped_by: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"objective.loss": "loss", "objective.logit_adjustment": "logit_adjustment"}
    )
    class_weights: Tensor | None
    log_prior: Tensor | None

    def __init__(  # noqa: PLR0913 - the options of a run
        self,
        num_classes: int,
        *,
        loss: ClassLoss = "cross_entropy",
        gamma: float = 2.0,
        class_weights: ClassWeighting | Sequence[float] | None = None,
        beta: float = USUAL_BETA,
        label_smoothing: float = 0.0,
        logit_adjustment: LogitAdjustment = "none",
        tau: float = 1.0,
        class_counts: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.objective = ClassObjective(
            loss=loss, gamma=gamma, label_smoothing=label_smoothing, logit_adjustment=logit_adjustment, tau=tau
        )
        self.loss_name = loss
        counts = None if class_counts is None else _counts(class_counts, num_classes)
        weights = None
        if class_weights is not None:
            weights = class_weights_of(class_weights, counts, num_classes=num_classes, beta=beta)
        self.register_buffer("class_weights", weights, persistent=False)  # of the loss, not of the model
        if logit_adjustment != "none" and counts is None:
            raise ConfigError(
                f"logit_adjustment={logit_adjustment!r} is made from the images of each class; got no class_counts. "
                "Give them, such as class_counts=[900, 100]."
            )
        prior = None if logit_adjustment == "none" or counts is None else log_priors(counts)
        self.register_buffer("log_prior", prior, persistent=logit_adjustment == "post_hoc")

    def loss(self, logits: Float[Tensor, "batch num_classes"], targets: ClassTarget) -> Float[Tensor, ""]:
        """Return the mean over the images, in nats."""
        return class_losses(
            self.objective, logits, targets.probs, class_weights=self.class_weights, log_prior=self.log_prior
        ).mean()

    def decode(self, logits: Float[Tensor, "batch num_classes"]) -> list[ClassScores]:
        """Return the probabilities of each image."""
        scores = logits.float()
        if self.objective.logit_adjustment == "post_hoc" and self.log_prior is not None:
            scores = logit_adjusted(scores, self.log_prior, tau=-self.objective.tau)
        return [ClassScores(probs=probs) for probs in scores.softmax(dim=-1).unbind()]


def _counts(numbers: Sequence[int], count: int) -> Tensor:
    values: list[object] = list(numbers)
    if len(values) != count or not all(isinstance(value, int) and value >= 0 for value in values):
        raise ConfigError(
            f"class_counts must be {count} whole numbers of 0 or more, one for each class; got {values!r}."
        )
    return torch.tensor(values, dtype=torch.int64)
