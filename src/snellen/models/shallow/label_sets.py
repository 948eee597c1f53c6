"""Which of several classes an image shows, each asked for itself, on features that nobody trains.

Shapes: B images, n training images, d features, K classes.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from snellen.models.backbones import Backbone
from snellen.models.classification.answers import LabelSetAnswer
from snellen.models.classification.trunk import HeadOutput
from snellen.models.shallow.extractors import HandMadeFeatures, NetworkFeatures
from snellen.models.shallow.model import LEAST_PROB, ShallowModel
from snellen.models.shallow.questions import ClassQuestion
from snellen.structures import Fact, FitData, LabelSetScores, LabelSetTarget

__all__ = ["ShallowLabelSets"]


class ShallowLabelSets(ShallowModel):
    """Says of each class whether an image shows it, with a learner of its own for each; see `ShallowModel`.

    Source:
        Tsoumakas and Katakis 2007, binary relevance, https://doi.org/10.4018/jdwm.2007070101.
    """

    target_type = LabelSetTarget

    def __init__(
        self,
        num_outputs: int,
        *,
        learner: str,
        extractor: HandMadeFeatures | NetworkFeatures,
        backbone: Backbone | None = None,
    ) -> None:
        super().__init__(num_outputs, learner=learner, extractor=extractor, backbone=backbone)
        self.questions = nn.ModuleList(ClassQuestion(learner, 2) for _ in range(num_outputs))
        self.answer = LabelSetAnswer(num_outputs)

    @property
    def is_fitted(self) -> bool:
        """Whether there is something to answer by."""
        return any(question.outcome.numbers for question in self._questions())

    def answered(self, features: Float32[np.ndarray, "B d"]) -> Float64[np.ndarray, "B K"]:
        """Return the logit of each class."""
        probs = np.stack([question.probs(features)[:, 1] for question in self._questions()], axis=1)
        clipped = np.clip(probs, LEAST_PROB, 1 - LEAST_PROB)
        return np.asarray(np.log(clipped / (1 - clipped)))

    def loss(self, output: HeadOutput, targets: LabelSetTarget) -> Mapping[str, Tensor]:
        """Return ``binary_cross_entropy``, the mean over the answers that are known, to compare fits by."""
        return {self.answer.loss_name: self.answer.loss(output.logits, targets)}

    def decode(self, output: HeadOutput, sizes: Int64[Tensor, "batch 2"]) -> list[LabelSetScores]:
        """Return the probabilities of each image; ``sizes`` do not matter here."""
        del sizes
        return self.answer.decode(output.logits)

    def fit_answers(
        self,
        features: Float32[np.ndarray, "n d"],
        targets: Sequence[LabelSetTarget],
        *,
        groups: Int64[np.ndarray, " n"] | None,
        data: FitData,
    ) -> dict[str, Fact]:
        """Fit a learner for each class to the images of which it is known whether they show it."""
        shown = np.concatenate([target.shown.cpu().numpy() for target in targets]) > 0.5
        known = np.concatenate([target.known.cpu().numpy() for target in targets])
        settled: dict[str, int] = {}
        silent = 0
        for label, question in enumerate(self._questions()):
            rows = np.flatnonzero(known[:, label])
            facts = question.fit(
                features[rows],
                shown[rows, label].astype(np.int64),
                self.learner,
                self.fitting,
                groups=None if groups is None else groups[rows],
                seed=data.seed,
                progress=partial(_for_class, data, label, self.num_outputs),
            )
            silent += "classes" in facts
            words = str(facts.get("chosen", ""))
            settled[words] = settled.get(words, 0) + 1
        told: dict[str, Fact] = {"images": len(features), "features": features.shape[1]}
        if silent:
            told["classes that all or no training images show, which are always said so"] = silent
        if any(settled):
            told["chosen"] = "; ".join(f"{words} ({count} classes)" for words, count in settled.items() if words)
        return told

    def check_state(self) -> None:
        """Refuse a state that no fit leaves behind.

        Raises:
            CheckpointError: If something has a wrong size or a value out of range.
        """
        self.check_features()
        for question in self._questions():
            question.check(self.num_features)

    def _questions(self) -> list[ClassQuestion]:
        return [question for question in self.questions if isinstance(question, ClassQuestion)]


def _for_class(data: FitData, label: int, num_classes: int, what: str, done: int, total: int) -> None:
    data.progress(f"{what} for class {label + 1} of {num_classes}", done, total)
