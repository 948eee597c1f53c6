"""One figure for each kind of prediction, measured on any weighting of the images: for intervals and for tests."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from snellen.doctor.evidence.results.evaluated import Pair
from snellen.doctor.evidence.results.objects import FOUND_IOU
from snellen.metrics import (
    DEFAULT_THRESHOLD,
    ImageObjects,
    class_headline,
    confusion_counts,
    match_images,
    mended_precision,
    sort_errors,
)
from snellen.structures import (
    IGNORE_LABEL,
    BoxTarget,
    ClassScores,
    ClassTarget,
    Detections,
    LabelSetScores,
    LabelSetTarget,
    MaskTarget,
    Prediction,
    SegmentationMap,
    ValueEstimates,
    ValueTarget,
)

__all__ = ["FIGURES", "Figure"]

Weights = Float64[np.ndarray, "draws n"]
Values = Float64[np.ndarray, " draws"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Figure:
    """A figure of ``n`` images, 1 is best, that can be measured anew for any weights of them.

    Attributes:
        name: As in the results.
        num_images: ``n``.
        measure: From weights ``[draws, n]``, how often each image counts, to the figure for each draw; nan where it has
            none.
    """

    name: str
    num_images: int
    measure: Callable[[Weights], Values]

    @property
    def value(self) -> float:
        """The figure with every image once; nan without images."""
        return float(self.measure(np.ones((1, self.num_images)))[0]) if self.num_images else float("nan")


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    return np.where(under > 0, over / np.where(under > 0, under, 1.0), np.nan)


def _known_mean(values: Float64[np.ndarray, "draws k"]) -> Values:
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(1), known.sum(1))


def _of_classes(pairs: Iterable[Pair], classes: Sequence[str], decide: Callable[..., Any] | None) -> Figure:
    """Return the accuracy, or, where classes are of unequal size, the mean of their recalls."""
    labels, named = [], []
    for image, truth in pairs:
        if isinstance(image.prediction, ClassScores) and isinstance(truth, ClassTarget) and truth.probs.any():
            probs = image.prediction.probs.double().numpy()
            named.append(int(probs.argmax()) if decide is None else int(decide(probs[None])[0]))
            labels.append(int(truth.probs.argmax()))
    truth_of, right = np.array(labels, np.int64), np.array(labels, np.int64) == np.array(named, np.int64)
    name = class_headline(np.bincount(truth_of, minlength=len(classes)))
    member = truth_of[:, None] == np.arange(len(classes))

    def measure(weights: Weights) -> Values:
        if name == "accuracy":
            return _ratio(weights @ right, weights.sum(1))
        return _known_mean(_ratio(weights @ (member & right[:, None]), weights @ member))

    return Figure(name=name, num_images=len(labels), measure=measure)


def _of_boxes(pairs: Iterable[Pair], classes: Sequence[str], decide: Callable[..., Any] | None) -> Figure:
    """Return the average precision at overlap 0.5."""
    del decide
    images = [
        ImageObjects.of(image.prediction, truth)
        for image, truth in pairs
        if isinstance(image.prediction, Detections) and isinstance(truth, BoxTarget)
    ]
    matched = match_images(images, iou_at_least=FOUND_IOU)
    errors = sort_errors(matched, num_classes=len(classes), iou_at_least=FOUND_IOU)
    return Figure(name="AP50", num_images=len(images), measure=lambda weights: mended_precision(errors, None, weights))


def _of_maps(pairs: Iterable[Pair], classes: Sequence[str], decide: Callable[..., Any] | None) -> Figure:
    """Return the mean overlap of the classes, counted over all pixels."""
    del decide
    counts = []
    for image, truth in pairs:
        if isinstance(image.prediction, SegmentationMap) and isinstance(truth, MaskTarget):
            wanted, named = truth.labels.numpy().ravel(), image.prediction.labels.numpy().ravel()
            known = wanted != IGNORE_LABEL
            confusion = confusion_counts(wanted[known], named[known], num_classes=len(classes))
            counts.append([np.diag(confusion), confusion.sum(1), confusion.sum(0)])
    table = np.array(counts, np.float64).reshape(len(counts), 3, len(classes))

    def measure(weights: Weights) -> Values:
        both, wanted, named = (weights @ table[:, place] for place in range(3))
        return _known_mean(np.where(wanted > 0, _ratio(both, wanted + named - both), np.nan))

    return Figure(name="mIoU", num_images=len(counts), measure=measure)


def _of_label_sets(pairs: Iterable[Pair], classes: Sequence[str], decide: Callable[..., Any] | None) -> Figure:
    """Return the mean over the classes of F1 at one half."""
    del decide
    rows = []
    for image, truth in pairs:
        if isinstance(image.prediction, LabelSetScores) and isinstance(truth, LabelSetTarget):
            named = image.prediction.probs.numpy() >= DEFAULT_THRESHOLD
            shown, known = truth.shown.numpy() >= DEFAULT_THRESHOLD, truth.known.numpy()
            rows.append([named & shown & known, named & known, shown & known])
    table = np.array(rows, np.float64).reshape(len(rows), 3, len(classes))

    def measure(weights: Weights) -> Values:
        hits, named, wanted = (weights @ table[:, place] for place in range(3))
        return _known_mean(np.where(wanted > 0, _ratio(2 * hits, named + wanted), np.nan))

    return Figure(name="macro_F1", num_images=len(rows), measure=measure)


def _of_values(pairs: Iterable[Pair], classes: Sequence[str], decide: Callable[..., Any] | None) -> Figure:
    """Return 1 less the absolute error relative to that of the median."""
    del decide
    rows = []
    for image, truth in pairs:
        if isinstance(image.prediction, ValueEstimates) and isinstance(truth, ValueTarget):
            rows.append([image.prediction.values.double().numpy(), truth.values.double().numpy(), truth.known.numpy()])
    table = np.array(rows, np.float64).reshape(len(rows), 3, len(classes))
    known = table[:, 2] > 0
    middle = np.array([np.median(table[own, 1, place]) if own.any() else 0.0 for place, own in enumerate(known.T)])
    error = np.where(known, np.abs(table[:, 0] - table[:, 1]), 0.0)
    plain = np.where(known, np.abs(table[:, 1] - middle), 0.0)

    def measure(weights: Weights) -> Values:
        return _known_mean(1 - _ratio(weights @ error, weights @ plain))

    return Figure(name="1 − RAE", num_images=len(rows), measure=measure)


# Makes the figure of pairs of a prediction and a truth, from the names of the classes and a rule that names classes.
FIGURES: Mapping[type[Prediction], Callable[[Iterable[Pair], Sequence[str], Callable[..., Any] | None], Figure]] = {
    ClassScores: _of_classes,
    Detections: _of_boxes,
    SegmentationMap: _of_maps,
    LabelSetScores: _of_label_sets,
    ValueEstimates: _of_values,
}
