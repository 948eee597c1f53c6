"""What a detector would reach with the answers that it gave for other images."""

from collections.abc import Sequence
from dataclasses import dataclass

from snellen.doctor.evidence.results.evaluated import EvaluatedRun, Pair
from snellen.doctor.evidence.results.figures import FIGURES
from snellen.doctor.evidence.results.objects import CostOfErrors, DetectedObjects
from snellen.doctor.evidence.results.readings import chosen_pairs, with_answers_of_others
from snellen.ops import box_iou
from snellen.structures import BoxTarget, Detections

__all__ = ["OthersAnswers", "answers_of_others"]

FOUND = 0.2  # of the objects, that own boxes lie on beyond those of others: scores or names are wrong, not images
ASKED_BELOW = 0.2  # AP50 under which answers may have nothing to do with their images
STEPS = (1 / 5, 2 / 5, 3 / 5, 4 / 5)  # of the number of images, by which answers are moved


@dataclass(frozen=True, kw_only=True)
class OthersAnswers:
    """What answers of other images are worth.

    Attributes:
        value: AP50 of the images with the answers of others, the best of four ways to move them; nan where the model's
            own answers are too good to ask, or lie on far more objects than those of others.
    """

    ABSENT = DetectedObjects.ABSENT

    value: float = float("nan")


def answers_of_others(run: EvaluatedRun, costs: CostOfErrors) -> OthersAnswers:
    """Return what a detector reaches whose answers are moved to other images."""
    if not costs.precision.cost < ASKED_BELOW:
        return OthersAnswers()
    pairs = chosen_pairs(run, Detections, BoxTarget)
    steps = {round(share * len(pairs)) for share in STEPS} - {0, len(pairs)}
    moved = [with_answers_of_others(pairs, step) for step in steps]
    if _share_found(pairs) > max(map(_share_found, moved), default=1.0) + FOUND:
        return OthersAnswers()
    values = [FIGURES[Detections](read, run.index.classes, None).value for read in moved]
    return OthersAnswers(value=max(values, default=float("nan")))


def _share_found(pairs: Sequence[Pair]) -> float:
    """Return the share of the objects on which a box of their image lies, whatever its class and score."""
    hits = total = 0
    for predicted, target in pairs:
        found: Detections = predicted.prediction  # type: ignore[assignment]  # chosen by type
        truths = target.boxes[target.valid & ~target.ignored]  # type: ignore[union-attr]  # likewise
        total += len(truths)
        if len(found.boxes) and len(truths):
            hits += int((box_iou(found.boxes.double(), truths.double()) >= 0.5).any(0).sum())
    return hits / max(total, 1)
