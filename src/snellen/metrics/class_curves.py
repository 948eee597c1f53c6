"""Precision over recall and ROC of classes against all others, with the point at which a class is named."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int64

from snellen.metrics.average_precision import ranked_curve, receiver_curve
from snellen.metrics.curves import thinned_series
from snellen.metrics.decisions import Decision
from snellen.structures import Curve, Series

__all__ = ["class_curves"]

_HALF = 0.5  # from which the more probable one of two classes is named


def class_curves(
    probs: Float64[np.ndarray, "n num_classes"],
    truth: Int64[np.ndarray, " n"],
    classes: Sequence[str],
    decision: Decision | None,
) -> tuple[Curve, Curve]:
    """Return precision over recall, and true over false positives; classes that none or all images have are left out.

    Of two classes, and where a decision looks for one class, the point at which that is named is marked.

    Args:
        probs: Of each class.
        truth: Labels.
        classes: Names in label order.
        decision: From probabilities to a class; None names the most probable.
    """
    precision: list[Series] = []
    receiver: list[Series] = []
    for label, name in enumerate(classes):
        hits = truth == label
        if not hits.any() or hits.all():
            continue
        ranked = ranked_curve(probs[:, label], hits, num_wanted=int(hits.sum()))
        precision.append(thinned_series(name, ranked.recall, ranked.precision))
        receiver.append(thinned_series(name, *receiver_curve(probs[:, label], hits)[:2]))
    for label, threshold, name in _marked(truth, classes, decision):
        recall, right, false_rate = _point(probs[:, label], truth == label, threshold)
        if right is not None:
            precision.append(Series(name=name, x=(recall,), y=(right,), is_dots=True))
        receiver.append(Series(name=name, x=(false_rate,), y=(recall,), is_dots=True))
    note = "Each class against all others; classes that no image or every image has are left out."
    if any(series.is_dots for series in receiver):
        note += " The dots are where classes are named."
    return (
        Curve(title="Precision over recall", x_label="Recall", y_label="Precision", series=tuple(precision), note=note),
        Curve(
            title="ROC",
            x_label="False-positive rate",
            y_label="True-positive rate",
            series=tuple(receiver),
            note=note,
        ),
    )


def _marked(
    truth: Int64[np.ndarray, " n"], classes: Sequence[str], decision: Decision | None
) -> list[tuple[int, float, str]]:
    """Return label, threshold and name of the points to be marked."""
    if decision is not None and decision.found is not None:
        labels, limits = [decision.found], decision.thresholds
    elif decision is None and len(classes) == 2:
        labels, limits = [0, 1], (_HALF, _HALF)
    else:
        labels, limits = [], ()
    return [
        (label, limits[label], f"{classes[label]} from {limits[label]:.3g}")
        for label in labels
        if 0 < (truth == label).sum() < len(truth)
    ]


def _point(
    scores: Float64[np.ndarray, " n"], hits: Bool[np.ndarray, " n"], threshold: float
) -> tuple[float, float | None, float]:
    """Return recall, precision (None where nothing is named) and false-positive rate."""
    named = scores >= threshold
    precision = float(hits[named].mean()) if named.any() else None
    return float(named[hits].mean()), precision, float(named[~hits].mean())
