"""Where on its curve of precision over recall a class is to be named."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from snellen.metrics.average_precision import ranked_curve

__all__ = ["ThresholdPoint", "point_at_precision", "point_at_recall", "point_of_best_f1"]

Scores = Float[np.ndarray, " n"]
Hits = Bool[np.ndarray, " n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdPoint:
    """A threshold of the probability of a class, and what happens there on the images it was chosen on.

    Attributes:
        threshold: From which the class is named; midway between two probabilities that occur, so that neither of them
            hangs on a rounding error.
        precision: Share of the images named that show the class.
        recall: Share of the images that show the class that are named.
        f1: Their harmonic mean.
    """

    threshold: float
    precision: float
    recall: float
    f1: float


def point_of_best_f1(scores: Scores, hits: Hits) -> ThresholdPoint | None:
    """Return the point of the highest F1, of several the one of the highest threshold; None if nothing is to be found.

    Args:
        scores: Probability of the class, 0..1.
        hits: Whether each image shows it.

    Source:
        Lipton, Elkan and Naryanaswamy 2014, "Optimal thresholding of classifiers to maximize F1 measure", for why it is
        not one half.
    """
    return _chosen(scores, hits, _f1)


def point_at_recall(scores: Scores, hits: Hits, wanted: float) -> ThresholdPoint | None:
    """Return the point of the highest precision whose recall is ``wanted`` or more; None if nothing is to be found.

    There always is one: the lowest threshold finds everything.

    Args:
        scores: Probability of the class, 0..1.
        hits: Whether each image shows it.
        wanted: Recall, 0..1.
    """
    return _chosen(scores, hits, lambda precision, recall: np.where(recall >= wanted, precision, -1.0))


def point_at_precision(scores: Scores, hits: Hits, wanted: float) -> ThresholdPoint | None:
    """Return the point of the highest recall whose precision is ``wanted`` or more; None where there is none.

    Args:
        scores: Probability of the class, 0..1.
        hits: Whether each image shows it.
        wanted: Precision, 0..1.
    """
    return _chosen(scores, hits, lambda precision, recall: np.where(precision >= wanted, recall, -1.0))


def _chosen(scores: Scores, hits: Hits, value: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> ThresholdPoint | None:
    if not hits.any():
        return None
    curve = ranked_curve(scores, hits, num_wanted=int(hits.sum()))
    values = value(curve.precision, curve.recall)
    place = int(values.argmax())  # of several the first, which has the highest threshold
    if values[place] < 0:
        return None
    below = curve.thresholds[place + 1] if place + 1 < len(curve.thresholds) else 0.0
    precision, recall = float(curve.precision[place]), float(curve.recall[place])
    return ThresholdPoint(
        threshold=float((curve.thresholds[place] + below) / 2),  # 0 where even a probability of 0 is named
        precision=precision,
        recall=recall,
        f1=float(_f1(np.array(precision), np.array(recall))),
    )


def _f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    return np.asarray(2 * precision * recall / np.maximum(precision + recall, np.finfo(np.float64).tiny))
