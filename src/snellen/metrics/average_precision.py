"""Average precision from ranked hits, by the two rules of Pascal VOC, and the curves behind it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

__all__ = [
    "RankedCurve",
    "average_precision_11_point",
    "average_precision_area",
    "average_precision_step",
    "ranked_curve",
    "receiver_curve",
]


# 0, 0.1 … 1 as floats are commonly stepped: three of them (0.3, 0.6, 0.7) lie a rounding error above the
# decimal, so that a recall of exactly 6/10 misses the seventh. Published 11-point figures depend on it.
ELEVEN_RECALLS = np.linspace(0.0, 1.0, 11)


class RankedCurve(NamedTuple):
    """What happens as the score that is accepted falls; one entry for each distinct score, highest first."""

    thresholds: Float[np.ndarray, " n"]
    precision: Float[np.ndarray, " n"]
    recall: Float[np.ndarray, " n"]


def _last_of_each_score(ordered: np.ndarray) -> np.ndarray:
    # Things with equal scores are accepted together: the order among them is an accident.
    return np.flatnonzero(np.append(np.diff(ordered) != 0, True)) if len(ordered) else np.zeros(0, np.int64)


def ranked_curve(scores: Float[np.ndarray, " n"], hits: Bool[np.ndarray, " n"], *, num_wanted: int) -> RankedCurve:
    """Precision and recall at every distinct score.

    Args:
        scores: Confidence of each proposal; any order.
        hits: True where the proposal is right.
        num_wanted: How many there were to find; 0 gives a recall of nan.

    Source:
        Manning, Raghavan and Schütze 2008, section 8.4.
    """
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(hits[order], dtype=np.float64)
    ends = _last_of_each_score(scores[order])
    recall = found[ends] / num_wanted if num_wanted else np.full(len(ends), np.nan)
    return RankedCurve(scores[order][ends], found[ends] / (ends + 1.0), recall)


def average_precision_step(scores: Float[np.ndarray, " n"], hits: Bool[np.ndarray, " n"], *, num_wanted: int) -> float:
    """Sum of precision times step of recall, without interpolation; nan if nothing was wanted.

    Source:
        The definition of ``sklearn.metrics.average_precision_score``.
    """
    if num_wanted == 0:
        return float("nan")
    curve = ranked_curve(scores, hits, num_wanted=num_wanted)
    return float(np.sum(np.diff(curve.recall, prepend=0.0) * curve.precision))


def average_precision_area(scores: Float[np.ndarray, " n"], hits: Bool[np.ndarray, " n"], *, num_wanted: int) -> float:
    """Area under precision made monotone, over every point of recall; nan if nothing was wanted.

    Equal scores keep the order in which they were given, as in the devkit.

    Source:
        Pascal VOC development kit from 2010 on, ``VOCevaldet.m``/``VOCap.m``; Everingham et al. 2015, section
        4.2.1.
    """
    if num_wanted == 0:
        return float("nan")
    recall, precision = _devkit_curve(scores, hits, num_wanted)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))


def average_precision_11_point(
    scores: Float[np.ndarray, " n"], hits: Bool[np.ndarray, " n"], *, num_wanted: int
) -> float:
    """Mean of the best precision at recall of at least 0, 0.1 … 1; nan if nothing was wanted.

    Source:
        Everingham et al. 2010, section 4.2, the rule of VOC 2007.
    """
    if num_wanted == 0:
        return float("nan")
    recall, precision = _devkit_curve(scores, hits, num_wanted)
    best = [precision[recall >= least].max(initial=0.0) for least in ELEVEN_RECALLS]
    return float(np.mean(best))


def _devkit_curve(scores: np.ndarray, hits: np.ndarray, num_wanted: int) -> tuple[np.ndarray, np.ndarray]:
    found = np.cumsum(hits[np.argsort(-scores, kind="stable")], dtype=np.float64)
    return found / num_wanted, found / np.arange(1, len(found) + 1)


def receiver_curve(
    scores: Float[np.ndarray, " n"], hits: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"], float]:
    """False-positive rate, true-positive rate and the area beneath; (0, 0) stands first.

    The area is nan, and the rates of the absent side are nan, unless both hits and misses exist.

    Source:
        Fawcett 2006, "An introduction to ROC analysis", algorithms 1 and 2.
    """
    order = np.argsort(-scores, kind="stable")
    ends = _last_of_each_score(scores[order])
    right = np.cumsum(hits[order], dtype=np.float64)[ends]
    wrong = ends + 1.0 - right
    num_right, num_wrong = int(hits.sum()), int((~hits).sum())
    true_rate = np.append(0.0, right / num_right if num_right else np.full(len(ends), np.nan))
    false_rate = np.append(0.0, wrong / num_wrong if num_wrong else np.full(len(ends), np.nan))
    return false_rate, true_rate, float(np.trapezoid(true_rate, false_rate)) if len(ends) else float("nan")
