"""How good a classifier is, and how far its probabilities can be believed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Integer
from numpy.typing import ArrayLike
from torch import Tensor

from snellen.errors import InputError
from snellen.metrics.acuity import acuity
from snellen.metrics.average_precision import average_precision_step, receiver_curve
from snellen.metrics.calibration import expected_calibration_error, negative_log_likelihood, reliability
from snellen.metrics.class_curves import class_curves
from snellen.metrics.decisions import Decision, decided_labels
from snellen.metrics.gathering import add_entries, check_classes, check_lengths
from snellen.metrics.headline import ClassHeadline, class_headline
from snellen.structures import ClassScores, ClassTarget, ImageScore, Matrix, Results, Table

__all__ = ["ClassFigures", "ClassificationMetric", "class_figures", "confusion_counts"]

TOP = 5  # guesses; the second figure of ImageNet, Russakovsky et al. 2015


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassFigures:
    """Figures of each class from a confusion; nan for a class that the truth does not contain."""

    precision: Float64[np.ndarray, " num_classes"]
    recall: Float64[np.ndarray, " num_classes"]
    f1: Float64[np.ndarray, " num_classes"]


def confusion_counts(
    true_labels: Integer[np.ndarray, " n"], pred_labels: Integer[np.ndarray, " n"], *, num_classes: int
) -> Int64[np.ndarray, "num_classes num_classes"]:
    """Counts of truth (row) against prediction (column)."""
    pairs = true_labels.astype(np.int64) * num_classes + pred_labels
    return np.asarray(np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes))


def class_figures(confusion: Int64[np.ndarray, "num_classes num_classes"]) -> ClassFigures:
    """Precision, recall and F1 of each class.

    A class that the truth contains and nobody predicted has precision 0. A class that the truth does not
    contain has no figures (nan), so that it stays out of means.

    Source:
        van Rijsbergen 1979; equal to ``sklearn.metrics.precision_recall_fscore_support`` for classes in the
        truth.
    """
    right = np.diag(confusion).astype(np.float64)
    wanted, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    known = wanted > 0
    return ClassFigures(
        precision=np.where(known, right / np.maximum(predicted, 1), np.nan),
        recall=np.where(known, right / np.maximum(wanted, 1), np.nan),
        f1=np.where(known, 2 * right / np.maximum(wanted + predicted, 1), np.nan),
    )


class ClassificationMetric:
    """Accuracy, figures per class, calibration, curves and confusion.

    The truth of an image with soft labels is its most probable class; an image of which no class is known is left out
    and counted. Means over classes leave out classes that the truth does not contain. Without images every figure is
    nan.

    Args:
        classes: Names in label order.
        headline: The figure that stands first; None chooses by the images of each class, see ``class_headline``.
        decision: From probabilities to a class; None names the most probable.
        letter_height_px: Height of the thing to be named in each image, by row of the data set; where given,
            acuity is measured. An entry that is not a positive number is left out.

    Source:
        Accuracy, macro means and average precision as in scikit-learn; calibration: Guo et al. 2017.
    """

    def __init__(
        self,
        classes: Sequence[str],
        *,
        headline: ClassHeadline | None = None,
        decision: Decision | None = None,
        letter_height_px: ArrayLike | None = None,
    ) -> None:
        self._classes = check_classes(classes)
        self._headline = headline
        self._decision = decision
        self._heights = None if letter_height_px is None else np.asarray(letter_height_px, np.float64)
        self._images: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._unknown: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def update(
        self, predictions: Sequence[ClassScores], targets: Sequence[ClassTarget], indices: Sequence[int]
    ) -> None:
        """Add images.

        Raises:
            InputError: If the lengths differ, an image comes twice, or a probability is nan or of another
                class count.
        """
        check_lengths(predictions, targets, indices)
        for found, wanted, index in zip(predictions, targets, indices, strict=True):
            entry = (self._probs(found.probs), self._probs(wanted.probs))
            add_entries(self._images if entry[1].any() else self._unknown, {int(index): entry})

    def merge(self, other: "ClassificationMetric") -> None:
        """Add the images of another shard.

        Raises:
            InputError: If both have seen the same image.
        """
        add_entries(self._images, other._images)  # noqa: SLF001  # its own class
        add_entries(self._unknown, other._unknown)  # noqa: SLF001

    def result(self) -> Results:
        """Measure all images seen so far."""
        indices = sorted(self._images)
        shape = (len(indices), len(self._classes))
        probs = np.array([self._images[index][0] for index in indices]).reshape(shape)
        wanted = np.array([self._images[index][1] for index in indices]).reshape(shape)
        truth = wanted.argmax(axis=1)
        guess = decided_labels(probs, self._decision, classes=self._classes)
        confusion = confusion_counts(truth, guess, num_classes=len(self._classes))
        figures = class_figures(confusion)
        areas = [self._areas(probs[:, label], truth == label) for label in range(len(self._classes))]
        scalars = self._scalars(probs, wanted, guess, figures, areas)
        tables = [self._class_table(confusion, figures, areas)]
        if self._heights is not None:
            sharp = acuity(self._heights_of(indices), truth == guess)
            scalars["acuity_px"] = sharp.height_px
            tables.append(sharp.table)
        chances = probs[np.arange(len(truth)), truth]
        return Results(
            headline=self._headline or class_headline(confusion.sum(axis=1)),
            scalars=scalars,
            tables=tuple(tables),
            curves=(*class_curves(probs, truth, self._classes, self._decision), reliability(probs, truth)),
            matrices=(self._matrix(confusion),),
            per_image=tuple(
                ImageScore(index=index, quality=float(chance), uncertainty=float(1 - row.max()))
                for index, chance, row in zip(indices, chances, np.clip(probs, 0, 1), strict=True)
            ),
        )

    def _probs(self, probs: Tensor) -> np.ndarray:
        values = np.asarray(probs.detach().float().cpu().numpy(), np.float64)
        if values.shape != (len(self._classes),) or np.isnan(values).any():
            raise InputError(
                f"probabilities must be {len(self._classes)} numbers, one for each class; got shape "
                f"{values.shape} with {int(np.isnan(values).sum())} nan. Give the model as many outputs as "
                "the data set has classes; if there are nan, it has diverged: train with a lower learning "
                "rate."
            )
        return values

    def _heights_of(self, indices: list[int]) -> np.ndarray:
        num_rows = 0 if self._heights is None else len(self._heights)
        if self._heights is None or (indices and indices[-1] >= num_rows):
            raise InputError(
                f"letter_height_px must have an entry for each row of the data set; got {num_rows} entries "
                f"and row {indices[-1] if indices else 0}. Pass the attribute of the whole data set, not of "
                "a part."
            )
        return np.asarray(self._heights[np.array(indices, np.int64)])

    def _areas(self, scores: np.ndarray, hits: np.ndarray) -> tuple[float, float]:
        """Return average precision and the area under the ROC of a class against all others."""
        return average_precision_step(scores, hits, num_wanted=int(hits.sum())), receiver_curve(scores, hits)[2]

    def _scalars(
        self,
        probs: np.ndarray,
        wanted: np.ndarray,
        guess: np.ndarray,
        figures: ClassFigures,
        areas: Sequence[tuple[float, float]],
    ) -> dict[str, float]:
        truth = wanted.argmax(axis=1)
        scalars = {"accuracy": _mean(guess == truth)}
        if len(self._classes) > TOP:
            better = (probs > probs[np.arange(len(truth)), truth][:, None]).sum(axis=1)
            scalars["top5_accuracy"] = _mean(better < TOP)
        scalars["balanced_accuracy"] = _known_mean(figures.recall)
        scalars["macro_precision"] = _known_mean(figures.precision)
        scalars["macro_F1"] = _known_mean(figures.f1)
        scalars["mAP"] = _known_mean(np.array([area for area, _ in areas]))
        scalars["NLL"] = negative_log_likelihood(probs, wanted)
        scalars["ECE"] = expected_calibration_error(probs, truth)
        return scalars

    def _class_table(self, confusion: np.ndarray, figures: ClassFigures, areas: Sequence[tuple[float, float]]) -> Table:
        rows = []
        for label, name in enumerate(self._classes):
            values = (figures.precision[label], figures.recall[label], figures.f1[label], *areas[label])
            rows.append((name, int(confusion[label].sum()), *(None if np.isnan(v) else float(v) for v in values)))
        note = (
            "AP (the area under precision over recall) and the area under the ROC take each class against all others."
        )
        if (confusion.sum(axis=1) == 0).any():
            note += " A class without images has no figures and is left out of every mean."
        if self._unknown:
            note += f" Images of which no class is known were left out: {len(self._unknown)}."
        if self._decision is not None:
            note += f" {_decision_words(self._decision, self._classes)}"
        columns = ("Class", "Images", "Precision", "Recall", "F1", "AP", "ROC area")
        return Table(title="Classes", columns=columns, rows=tuple(rows), note=note)

    def _matrix(self, confusion: np.ndarray) -> Matrix:
        return Matrix(
            title="Confusion",
            row_names=self._classes,
            column_names=self._classes,
            values=tuple(tuple(float(value) for value in row) for row in confusion),
            note="Truth in rows, prediction in columns.",
        )


def _decision_words(decision: Decision, classes: Sequence[str]) -> str:
    if decision.found is not None:
        least = decision.thresholds[decision.found]
        return f"An image is called {classes[decision.found]} from a probability of {least:.3g} on."
    limits = ", ".join(f"{name} {value:.3g}" for name, value in zip(classes, decision.thresholds, strict=True))
    return f"An image is given the class whose probability is the greatest multiple of its threshold ({limits})."


def _known_mean(values: np.ndarray) -> float:
    return _mean(values[~np.isnan(values)])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
