"""Numbers that belong to images, on features that nobody trains.

Shapes: B images, n training images, d features, K values.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from snellen.models.backbones import Backbone
from snellen.models.classification.trunk import HeadOutput
from snellen.models.shallow.extractors import HandMadeFeatures, NetworkFeatures
from snellen.models.shallow.model import ShallowModel
from snellen.models.shallow.value_questions import ValueQuestion
from snellen.structures import Fact, FitData, ValueEstimates, ValueTarget

__all__ = ["ShallowValues"]


class ShallowValues(ShallowModel):
    """Estimates numbers, with a regression of its own for each; see `ShallowModel`."""

    target_type = ValueTarget

    def __init__(
        self,
        num_outputs: int,
        *,
        learner: str,
        extractor: HandMadeFeatures | NetworkFeatures,
        backbone: Backbone | None = None,
    ) -> None:
        super().__init__(num_outputs, learner=learner, extractor=extractor, backbone=backbone)
        self.questions = nn.ModuleList(ValueQuestion(learner) for _ in range(num_outputs))

    @property
    def is_fitted(self) -> bool:
        """Whether there is something to answer by."""
        return any(question.outcome.numbers for question in self._questions())

    def answered(self, features: Float32[np.ndarray, "B d"]) -> Float64[np.ndarray, "B K"]:
        """Return the numbers in the units of the data."""
        return np.stack([question.values(features) for question in self._questions()], axis=1)

    def loss(self, output: HeadOutput, targets: ValueTarget) -> Mapping[str, Tensor]:
        """Return ``squared_error``, the mean over the values that are known, in spreads of the training images."""
        spread = torch.tensor([question.spread for question in self._questions()], device=output.logits.device)
        errors = torch.where(targets.known, (output.logits - targets.values) / spread, 0.0)
        return {"squared_error": errors.square().sum() / targets.known.sum().clamp(min=1)}

    def decode(self, output: HeadOutput, sizes: Int64[Tensor, "batch 2"]) -> list[ValueEstimates]:
        """Return the values of each image; ``sizes`` do not matter here."""
        del sizes
        return [ValueEstimates(values=row) for row in output.logits.float().unbind()]

    def fit_answers(
        self,
        features: Float32[np.ndarray, "n d"],
        targets: Sequence[ValueTarget],
        *,
        groups: Int64[np.ndarray, " n"] | None,
        data: FitData,
    ) -> dict[str, Fact]:
        """Fit a regression for each value to the images of which it is known."""
        values = np.concatenate([target.values.cpu().numpy() for target in targets]).astype(np.float64)
        known = np.concatenate([target.known.cpu().numpy() for target in targets])
        told: dict[str, Fact] = {}
        for place, question in enumerate(self._questions()):
            rows = np.flatnonzero(known[:, place])
            facts = question.fit(
                features[rows],
                values[rows, place],
                self.learner,
                self.fitting,
                groups=None if groups is None else groups[rows],
                seed=data.seed,
                progress=data.progress,
            )
            prefix = f"value {place + 1}: " if self.num_outputs > 1 else ""
            told.update({f"{prefix}{name}": fact for name, fact in facts.items()})
        return told

    def check_state(self) -> None:
        """Refuse a state that no fit leaves behind.

        Raises:
            CheckpointError: If something has a wrong size or a value out of range.
        """
        self.check_features()
        for question in self._questions():
            question.check(self.num_features)

    def _questions(self) -> list[ValueQuestion]:
        return [question for question in self.questions if isinstance(question, ValueQuestion)]
