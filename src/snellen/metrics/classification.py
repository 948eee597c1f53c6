"""How good a classifier is, and how far its probabilities can be believed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Integer
from numpy.typing import ArrayLike
from torch import Tensor

from snellen.errors import InputError
from snellen.metrics.acuity import acuity
from snellen.metrics.average_precision import average_precision_step, ranked_curve, receiver_curve
from snellen.metrics.calibration import expected_calibration_error, negative_log_likelihood, reliability
from snellen.metrics.curves import thinned_series
from snellen.metrics.gathering import add_entries, check_classes, check_lengths
from snellen.structures import ClassScores, ClassTarget, Curve, ImageScore, Matrix, Results, Table

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

    The truth of an image with soft labels is its most probable class. Means over classes leave out classes
    that the truth does not contain. Without images every figure is nan.

    Args:
        classes: Names in label order.
        letter_height_px: Height of the thing to be named in each image, by row of the data set; where given,
            acuity is measured. An entry that is not a positive number is left out.

    Source:
        Accuracy and macro means as in scikit-learn; calibration: Guo et al. 2017.
    """

    def __init__(self, classes: Sequence[str], *, letter_height_px: ArrayLike | None = None) -> None:
        self._classes = check_classes(classes)
        self._heights = None if letter_height_px is None else np.asarray(letter_height_px, np.float64)
        self._images: dict[int, tuple[np.ndarray, np.ndarray]] = {}

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
            add_entries(self._images, {int(index): (self._probs(found.probs), self._probs(wanted.probs))})

    def merge(self, other: "ClassificationMetric") -> None:
        """Add the images of another shard.

        Raises:
            InputError: If both have seen the same image.
        """
        add_entries(self._images, other._images)  # noqa: SLF001  # its own class

    def result(self) -> Results:
        """Measure all images seen so far."""
        indices = sorted(self._images)
        shape = (len(indices), len(self._classes))
        probs = np.array([self._images[index][0] for index in indices]).reshape(shape)
        wanted = np.array([self._images[index][1] for index in indices]).reshape(shape)
        truth = wanted.argmax(axis=1)
        guess = probs.argmax(axis=1)
        confusion = confusion_counts(truth, guess, num_classes=len(self._classes))
        figures = class_figures(confusion)
        scalars = self._scalars(probs, wanted, figures)
        tables = [self._class_table(confusion, figures, probs, truth)]
        if self._heights is not None:
            sharp = acuity(self._heights_of(indices), truth == guess)
            scalars["acuity_px"] = sharp.height_px
            tables.append(sharp.table)
        chances = probs[np.arange(len(truth)), truth]
        return Results(
            headline="accuracy",
            scalars=scalars,
            tables=tuple(tables),
            curves=(*self._curves(probs, truth), reliability(probs, truth)),
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

    def _scalars(self, probs: np.ndarray, wanted: np.ndarray, figures: ClassFigures) -> dict[str, float]:
        truth = wanted.argmax(axis=1)
        scalars = {"accuracy": _mean(probs.argmax(axis=1) == truth)}
        if len(self._classes) > TOP:
            better = (probs > probs[np.arange(len(truth)), truth][:, None]).sum(axis=1)
            scalars["top5_accuracy"] = _mean(better < TOP)
        scalars["balanced_accuracy"] = _mean(figures.recall[~np.isnan(figures.recall)])
        scalars["macro_precision"] = _mean(figures.precision[~np.isnan(figures.precision)])
        scalars["macro_F1"] = _mean(figures.f1[~np.isnan(figures.f1)])
        scalars["NLL"] = negative_log_likelihood(probs, wanted)
        scalars["ECE"] = expected_calibration_error(probs, truth)
        return scalars

    def _class_table(self, confusion: np.ndarray, figures: ClassFigures, probs: np.ndarray, truth: np.ndarray) -> Table:
        rows = []
        for label, name in enumerate(self._classes):
            count = int(confusion[label].sum())
            hits = truth == label
            values = [figures.precision[label], figures.recall[label], figures.f1[label]]
            values.append(average_precision_step(probs[:, label], hits, num_wanted=count))
            values.append(receiver_curve(probs[:, label], hits)[2])
            rows.append((name, count, *(None if np.isnan(value) else float(value) for value in values)))
        note = "AP and the area under the ROC take each class against all others."
        if (confusion.sum(axis=1) == 0).any():
            note += " A class without images has no figures and is left out of every mean."
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

    def _curves(self, probs: np.ndarray, truth: np.ndarray) -> tuple[Curve, Curve]:
        precision, receiver = [], []
        for label, name in enumerate(self._classes):
            hits = truth == label
            if not hits.any() or hits.all():
                continue
            ranked = ranked_curve(probs[:, label], hits, num_wanted=int(hits.sum()))
            precision.append(thinned_series(name, ranked.recall, ranked.precision))
            receiver.append(thinned_series(name, *receiver_curve(probs[:, label], hits)[:2]))
        note = "Each class against all others; classes that no image or every image has are left out."
        return (
            Curve(
                title="Precision over recall",
                x_label="Recall",
                y_label="Precision",
                series=tuple(precision),
                note=note,
            ),
            Curve(
                title="ROC",
                x_label="False-positive rate",
                y_label="True-positive rate",
                series=tuple(receiver),
                note=note,
            ),
        )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
