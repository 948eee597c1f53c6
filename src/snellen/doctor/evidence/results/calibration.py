"""Whether the confidence of answers means what it says, against what chance makes of honest answers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.results.answers import Answers
from snellen.doctor.evidence.results.objects import DetectedObjects
from snellen.doctor.words import Text
from snellen.metrics import IGNORED, NUM_CONFIDENCE_BINS

__all__ = ["Confidence", "confidence_of_answers", "honest_errors", "share_error"]

LEAST_ANSWERS = 50
DRAWS = 1000
SURE = 0.998  # of the errors of honest answers are below what is told
_MOST_WORK = 50_000_000  # answers times draws
_LEAST_DRAWS = 200
LEAST_SCORE = 0.05  # of a detection that is looked at: below, nearly all are wrong by design


@dataclass(frozen=True, kw_only=True, eq=False)
class Confidence:
    """Confidence of answers beside how often they are right, ``n`` answers.

    Attributes:
        scores: Confidence of each, ``[n]``.
        right: Whether it is right, ``[n]``.
        error: Calibration error: mean distance of confidence and share that is right, over 15 bins.
        honest: The mean of that error, had the same confidences been honest.
        honest_high: What 2 of 1000 honest ones reach.
        bias: Mean confidence less the share that is right: above 0 the model is too sure.
        is_of_boxes: Whether the answers are boxes.
    """

    ABSENT = Text(en="the model tells no confidence", zh="该模型不给出置信度")

    scores: Float64[np.ndarray, " n"]
    right: Bool[np.ndarray, " n"]
    error: float
    honest: float
    honest_high: float
    bias: float
    is_of_boxes: bool


def share_error(scores: Float64[np.ndarray, " n"], right: Bool[np.ndarray, " n"]) -> float:
    """Return the mean distance between confidence and share that is right over 15 bins, weighted by their answers.

    Source:
        Guo et al. 2017, eq. 3; of boxes: Küppers et al. 2020, eq. 3 (D-ECE by confidence),
        https://arxiv.org/abs/2004.13546.
    """
    places = np.clip(np.ceil(scores * NUM_CONFIDENCE_BINS).astype(np.int64) - 1, 0, NUM_CONFIDENCE_BINS - 1)
    sums = np.bincount(places, scores - right, minlength=NUM_CONFIDENCE_BINS)
    return float(np.abs(sums).sum() / max(len(scores), 1))


def honest_errors(scores: Float64[np.ndarray, " n"], *, draws: int = DRAWS) -> Float64[np.ndarray, " draws"]:
    """Return the calibration errors that chance makes of answers that are right as often as their confidence says.

    Source:
        Consistency resampling: Bröcker and Smith 2007, Increasing the reliability of reliability diagrams, section 3.
    """
    generator = np.random.default_rng(0)
    return np.array([share_error(scores, generator.random(len(scores)) < scores) for _ in range(draws)])


def confidence_of_answers(answers: Answers | None, detected: DetectedObjects | None) -> Confidence:
    """Return the confidence of class answers or of boxes.

    Raises:
        NotCheckable: If there are none, or fewer than 50.
    """
    if answers is not None:
        seen = answers.looked_at
        scores, right = np.clip(seen.probs.max(1), 0, 1), seen.probs.argmax(1) == seen.labels
    elif detected is not None:
        parts = [(image.seen.scores, image.found) for image in detected.matched]
        scores = np.clip(np.concatenate([np.zeros(0), *(part[0] for part in parts)]), 0, 1)
        found = np.concatenate([np.zeros(0), *(part[1] for part in parts)])
        counted = (found != IGNORED) & (scores >= LEAST_SCORE)
        scores, right = scores[counted], found[counted] >= 0
    else:
        raise NotCheckable(Confidence.ABSENT)
    if len(scores) < LEAST_ANSWERS:
        raise NotCheckable(
            Text(
                en=f"{len(scores)} answers are too few to tell calibration; {LEAST_ANSWERS} are the least",
                zh=f"只有 {len(scores)} 个答案，不足以判断校准；至少需要 {LEAST_ANSWERS} 个",
            )
        )
    honest = honest_errors(scores, draws=max(_LEAST_DRAWS, min(DRAWS, _MOST_WORK // len(scores))))
    return Confidence(
        scores=scores,
        right=right,
        error=share_error(scores, right),
        honest=float(honest.mean()),
        honest_high=float(np.quantile(honest, SURE)),
        bias=float(scores.mean() - right.mean()),
        is_of_boxes=answers is None,
    )
