"""How good label sets are: each class as a question of its own, and the order of the classes on each image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from torch import Tensor

from snellen.errors import InputError
from snellen.metrics.average_precision import RankedCurve, average_precision_step, ranked_curve, receiver_curve
from snellen.metrics.curves import thinned_series
from snellen.metrics.gathering import add_entries, check_classes, check_lengths
from snellen.structures import Curve, ImageScore, LabelSetScores, LabelSetTarget, Results, Series, Table

__all__ = [
    "DEFAULT_THRESHOLD",
    "LabelSetFigures",
    "LabelSetMetric",
    "coverage_errors",
    "label_set_figures",
    "ranking_losses",
]

DEFAULT_THRESHOLD = 0.5  # probability from which a class is taken as shown, where none was chosen on held-out images
_LOG_FLOOR = 1e-15  # of a probability; one certain error does not make the mean infinite
_SHOWN_SHARE = 0.5  # of a mixed image, from which a class counts as shown

Entries = Bool[np.ndarray, "num_images num_classes"]
Probabilities = Float64[np.ndarray, "num_images num_classes"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelSetFigures:
    """Figures of each class at one threshold each, over the images of which it is known whether they show it.

    A class that no image shows has no figures (nan), so that it stays out of means.
    """

    precision: Float64[np.ndarray, " num_classes"]
    recall: Float64[np.ndarray, " num_classes"]
    f1: Float64[np.ndarray, " num_classes"]
    micro_precision: float
    micro_recall: float
    micro_f1: float


def label_set_figures(chosen: Entries, shown: Entries, known: Entries) -> LabelSetFigures:
    """Precision, recall and F1 of each class, and of all answers together (micro).

    Args:
        chosen: Whether the model names the class.
        shown: Whether the image shows it.
        known: Whether ``shown`` is known; other entries count for nothing.

    Source:
        Zhang and Zhou 2014, "A review on multi-label learning algorithms", section 2.2.3, eq. for B_macro and B_micro;
        equal to ``sklearn.metrics.precision_recall_fscore_support`` where all is known.
    """
    hits = (chosen & shown & known).sum(axis=0).astype(np.float64)
    named, wanted = (chosen & known).sum(axis=0), (shown & known).sum(axis=0)
    exists = wanted > 0
    return LabelSetFigures(
        precision=np.where(exists, hits / np.maximum(named, 1), np.nan),
        recall=np.where(exists, hits / np.maximum(wanted, 1), np.nan),
        f1=np.where(exists, 2 * hits / np.maximum(named + wanted, 1), np.nan),
        micro_precision=_ratio(hits.sum(), named.sum()) if wanted.any() else float("nan"),
        micro_recall=_ratio(hits.sum(), wanted.sum()) if wanted.any() else float("nan"),
        micro_f1=_ratio(2 * hits.sum(), named.sum() + wanted.sum()) if wanted.any() else float("nan"),
    )


def coverage_errors(probs: Probabilities, shown: Entries, known: Entries) -> Float64[np.ndarray, " num_images"]:
    """How far down the ranked classes of each image one has to go to meet all that it shows; 0 if it shows none.

    Equal probabilities are counted together, as ``sklearn.metrics.coverage_error`` does.

    Source:
        Zhang and Zhou 2014, section 2.2.2 (there less 1).
    """
    least = np.where(shown & known, probs, np.inf).min(axis=1, initial=np.inf)
    return np.asarray(((probs >= least[:, None]) & known).sum(axis=1), np.float64)


def ranking_losses(probs: Probabilities, shown: Entries, known: Entries) -> Float64[np.ndarray, " num_images"]:
    """Share of the pairs of a class that is shown and one that is not of which the latter stands first, per image.

    Equal probabilities count as a wrong order; an image without pairs has 0. As ``sklearn.metrics.label_ranking_loss``.

    Source:
        Zhang and Zhou 2014, section 2.2.2; Tsoumakas, Katakis and Vlahavas 2010, "Mining multi-label data".
    """
    losses = np.zeros(len(probs))
    for row, (scores, wanted, counts) in enumerate(zip(probs, shown, known, strict=True)):
        right, wrong = np.sort(scores[wanted & counts]), np.sort(scores[~wanted & counts])
        if len(right) and len(wrong):
            losses[row] = np.searchsorted(right, wrong, side="right").sum() / (len(right) * len(wrong))
    return losses


class LabelSetMetric:
    """Average precision of each class and its mean, figures at thresholds, and the order of classes on each image.

    Entries that are not known count for nothing. Means over classes leave out classes that no image shows. Without
    images every figure is nan.

    Args:
        classes: Names in label order.
        thresholds: Probability from which each class is taken as shown, in label order; 0.5 for all if None.

    Source:
        Zhang and Zhou 2014, section 2.2; average precision as in ``sklearn.metrics.average_precision_score``.
    """

    def __init__(self, classes: Sequence[str], *, thresholds: Sequence[float] | None = None) -> None:
        self._classes = check_classes(classes)
        chosen = [DEFAULT_THRESHOLD] * len(self._classes) if thresholds is None else list(thresholds)
        if len(chosen) != len(self._classes) or not all(0 <= value <= 1 for value in chosen):
            raise InputError(
                f"thresholds must be {len(self._classes)} probabilities in 0..1, one for each class; got {chosen}."
            )
        self._thresholds = np.array(chosen, np.float64)
        self._images: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def update(
        self, predictions: Sequence[LabelSetScores], targets: Sequence[LabelSetTarget], indices: Sequence[int]
    ) -> None:
        """Add images.

        Raises:
            InputError: If the lengths differ, an image comes twice, or a probability is nan or of another
                class count.
        """
        check_lengths(predictions, targets, indices)
        for found, wanted, index in zip(predictions, targets, indices, strict=True):
            shown = self._row(wanted.shown) >= _SHOWN_SHARE
            known = wanted.known.cpu().numpy().astype(np.bool_)
            add_entries(self._images, {int(index): (self._row(found.probs), shown, known)})

    def merge(self, other: "LabelSetMetric") -> None:
        """Add the images of another shard.

        Raises:
            InputError: If both have seen the same image.
        """
        add_entries(self._images, other._images)  # noqa: SLF001  # its own class

    def result(self) -> Results:
        """Measure all images seen so far."""
        indices = sorted(self._images)
        shape = (len(indices), len(self._classes))
        probs = np.array([self._images[index][0] for index in indices], np.float64).reshape(shape)
        shown = np.array([self._images[index][1] for index in indices], np.bool_).reshape(shape)
        known = np.array([self._images[index][2] for index in indices], np.bool_).reshape(shape)
        figures = label_set_figures(probs >= self._thresholds, shown, known)
        ranked = _ranked(probs, shown, known)
        return Results(
            headline="mAP",
            scalars=self._scalars(probs, shown, known, figures, ranked),
            tables=(
                self._class_table(shown, known, figures, ranked),
                self._threshold_table(known, figures, ranked),
            ),
            curves=(self._precision_curve(probs, shown, known), self._f1_curve(probs, shown, known)),
            per_image=tuple(
                ImageScore(index=index, quality=_quality(p, s, k), uncertainty=_doubt(p))
                for index, p, s, k in zip(indices, np.clip(probs, 0, 1), shown, known, strict=True)
            ),
        )

    def _row(self, values: Tensor) -> np.ndarray:
        row = np.asarray(values.detach().float().cpu().numpy(), np.float64)
        if row.shape != (len(self._classes),) or np.isnan(row).any():
            raise InputError(
                f"label sets must be {len(self._classes)} numbers, one for each class; got shape {row.shape} with "
                f"{int(np.isnan(row).sum())} nan. Give the model as many outputs as the data set has classes; if "
                "there are nan, it has diverged: train with a lower learning rate."
            )
        return row

    def _scalars(
        self, probs: np.ndarray, shown: np.ndarray, known: np.ndarray, figures: LabelSetFigures, ranked: np.ndarray
    ) -> dict[str, float]:
        wrong = ((probs >= self._thresholds) != shown) & known
        seen = known.any(axis=1)  # images of which something is known
        likelihood = np.log(np.clip(np.where(shown, probs, 1 - probs), _LOG_FLOOR, None))
        return {
            "mAP": _mean(ranked[0]),
            "macro_ROC_area": _mean(ranked[1]),
            "macro_precision": _mean(figures.precision),
            "macro_recall": _mean(figures.recall),
            "macro_F1": _mean(figures.f1),
            "micro_precision": figures.micro_precision,
            "micro_recall": figures.micro_recall,
            "micro_F1": figures.micro_f1,
            "subset_accuracy": _mean((~wrong.any(axis=1)).astype(np.float64)[seen]),
            "Hamming_loss": _mean(wrong[known].astype(np.float64)),
            "ranking_loss": _mean(ranking_losses(probs, shown, known)[seen]),
            "coverage_error": _mean(coverage_errors(probs, shown, known)[seen]),
            "NLL": _mean(-likelihood[known]),
        }

    def _class_table(self, shown: np.ndarray, known: np.ndarray, figures: LabelSetFigures, ranked: np.ndarray) -> Table:
        rows = []
        for label, name in enumerate(self._classes):
            values = (figures.precision[label], figures.recall[label], figures.f1[label], *ranked[:2, label])
            rows.append((name, int((shown & known)[:, label].sum()), *map(_cell, values)))
        note = (
            "Precision, recall and F1 are those at the threshold. AP by chance is the share of images with the class."
        )
        if not (shown & known).any(axis=0).all():
            note += " A class that no image shows has no figures and is left out of every mean."
        columns = ("Class", "Images", "Precision", "Recall", "F1", "AP", "ROC area")
        return Table(title="Classes", columns=columns, rows=tuple(rows), note=note)

    def _threshold_table(self, known: np.ndarray, figures: LabelSetFigures, ranked: np.ndarray) -> Table:
        rows = [
            (
                name,
                int(known[:, label].sum()),
                float(self._thresholds[label]),
                *map(_cell, (figures.f1[label], *ranked[2:, label])),
            )
            for label, name in enumerate(self._classes)
        ]
        columns = ("Class", "Images judged", "Threshold", "F1", "Best F1", "Best threshold")
        note = "Best F1 is what these images would allow; a threshold must be chosen on images that do not measure it."
        return Table(title="Thresholds", columns=columns, rows=tuple(rows), note=note)

    def _precision_curve(self, probs: np.ndarray, shown: np.ndarray, known: np.ndarray) -> Curve:
        series = []
        for label, name in enumerate(self._classes):
            curve = _curve_of(probs, shown, known, label)
            if curve is not None:
                series.append(thinned_series(name, curve.recall, curve.precision))
        return Curve(
            title="Precision over recall",
            x_label="Recall",
            y_label="Precision",
            series=tuple(series),
            note="Each class by itself; classes that no image shows are left out.",
        )

    def _f1_curve(self, probs: np.ndarray, shown: np.ndarray, known: np.ndarray) -> Curve:
        series: list[Series] = []
        for label, name in enumerate(self._classes):
            curve = _curve_of(probs, shown, known, label)
            if curve is not None:
                f1 = _f1(curve.precision, curve.recall)
                series.append(thinned_series(name, curve.thresholds[::-1], f1[::-1]))
        return Curve(
            title="F1 over the threshold",
            x_label="Threshold",
            y_label="F1",
            series=tuple(series),
            note="Where the highest points lie apart, one threshold for all classes costs F1.",
        )


def _curve_of(probs: np.ndarray, shown: np.ndarray, known: np.ndarray, label: int) -> RankedCurve | None:
    """Return what falling thresholds do to a class; None if no image shows it."""
    counted = known[:, label]
    hits = shown[counted, label]
    return ranked_curve(probs[counted, label], hits, num_wanted=int(hits.sum())) if hits.any() else None


def _f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    return np.asarray(2 * precision * recall / np.maximum(precision + recall, np.finfo(np.float64).tiny))


def _ranked(probs: np.ndarray, shown: np.ndarray, known: np.ndarray) -> Float64[np.ndarray, "4 num_classes"]:
    """Return average precision, area under the ROC, best F1 and its threshold of each class."""
    figures = np.full((4, probs.shape[1]), np.nan)
    for label in range(probs.shape[1]):
        curve = _curve_of(probs, shown, known, label)
        if curve is None:
            continue
        scores, hits = probs[known[:, label], label], shown[known[:, label], label]
        f1 = _f1(curve.precision, curve.recall)
        figures[:, label] = (
            average_precision_step(scores, hits, num_wanted=int(hits.sum())),
            receiver_curve(scores, hits)[2],
            f1.max(),
            curve.thresholds[f1.argmax()],
        )
    return figures


def _quality(probs: np.ndarray, shown: np.ndarray, known: np.ndarray) -> float:
    """Return the probability of the answer that is most wrong; nan where nothing is known."""
    answers = np.where(shown, probs, 1 - probs)[known]
    return float(answers.min()) if answers.size else float("nan")


def _doubt(probs: np.ndarray) -> float:
    """Return how near the most doubtful answer lies to one half, 0..1."""
    return float((1 - np.abs(2 * probs - 1)).max())


def _cell(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _mean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if counted.size else float("nan")
