"""What a classifier answered, split by split."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.results.evaluated import EvaluatedRun, EvaluatedSplit, typed_pairs
from snellen.doctor.words import Text
from snellen.metrics import Decision, decided_labels
from snellen.structures import ClassScores, ClassTarget

__all__ = ["Answers", "SplitAnswers", "answers", "answers_of_split"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitAnswers:
    """Answers for the images of a split of which a class is known, ``n`` of them.

    Attributes:
        rows: Of the split's part, ``[n]``.
        labels: As annotated, ``[n]``.
        probs: Of each class, ``[n, k]``.
        named: The class that is named, by the thresholds of the run if it has any, ``[n]``.
    """

    rows: Int64[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    probs: Float64[np.ndarray, "n k"]
    named: Int64[np.ndarray, " n"]

    @property
    def right(self) -> np.ndarray:
        """Whether each is named as annotated."""
        return np.asarray(self.named == self.labels)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """Answers by split.

    Attributes:
        splits: By name.
        judged: Name of the split that is looked at.
    """

    ABSENT = Text(en="the model does not tell one class for each image", zh="该模型不是为每张图像给出一个类别")

    splits: Mapping[str, SplitAnswers]
    judged: str

    @property
    def looked_at(self) -> SplitAnswers:
        """Of the split that is looked at."""
        return self.splits[self.judged]


def answers(run: EvaluatedRun) -> Answers:
    """Return what a classifier answered.

    Raises:
        NotCheckable: If the run predicts something else, or no class of any image is known.
    """
    if run.kind is not ClassScores:
        raise NotCheckable(Answers.ABSENT)
    found = {name: answers_of_split(split, run.decision) for name, split in run.splits.items()}
    if not len(found[run.judged].rows):
        raise NotCheckable(Text(en="no class of any image is known", zh="没有任何图像的类别已知"))
    return Answers(splits=found, judged=run.judged)


def answers_of_split(split: EvaluatedSplit, decision: Decision | None = None) -> SplitAnswers:
    """Return what a classifier answered for the images of a split."""
    rows, labels, probs = [], [], []
    for row, found, wanted in typed_pairs(split, ClassScores, ClassTarget):
        truth = wanted.probs.double().numpy()
        if truth.any():  # else nobody knows the class
            rows.append(row)
            labels.append(int(truth.argmax()))
            probs.append(found.probs.double().numpy())
    table = np.array(probs, np.float64).reshape(len(rows), len(split.part.classes))
    return SplitAnswers(
        rows=np.array(rows, np.int64),
        labels=np.array(labels, np.int64),
        probs=table,
        named=decided_labels(table, decision) if rows else np.zeros(0, np.int64),
    )
