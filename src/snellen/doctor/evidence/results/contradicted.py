"""Labels of held-out images that the model contradicts, surely enough to look at them."""

from dataclasses import dataclass

import numpy as np

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.results.answers import Answers
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.objects import DetectedObjects, WantedObjects
from snellen.doctor.words import Text
from snellen.doctor.wrong_labels import Suspect, SuspectKind, suspects_of_predictions
from snellen.errors import InputError

__all__ = ["Contradicted", "contradicted_labels"]

LEAST_SCORE = 0.9  # of a label that is listed; 0.5 lists every answer that is wrong
TIGHT = 0.85  # median overlap of the boxes that are found, from which a model can tell that an annotated one is shifted
FINDS = 0.9  # of the objects of a class, from which a model that sees none says that there is none


@dataclass(frozen=True, kw_only=True, eq=False)
class Contradicted:
    """Labels that are likely wrong.

    Attributes:
        suspects: The surest first; ``row`` is one of the part that is looked at.
        num_images: That were looked at.
        expected: How many there would be if all labels were right and the model as sure as it is right; nan where that
            cannot be told.
    """

    suspects: tuple[Suspect, ...]
    num_images: int
    expected: float = float("nan")


def contradicted_labels(
    run: EvaluatedRun, answers: Answers | None, detected: DetectedObjects | None, wanted: WantedObjects | None
) -> Contradicted:
    """Return the labels of the images that are looked at that the model contradicts.

    Raises:
        NotCheckable: If what is annotated can be near or far, but not wrong.
    """
    split = run.looked_at
    try:
        found = suspects_of_predictions(split.part, split.predictions(), least=LEAST_SCORE)
    except InputError as error:
        reason = Text(
            en="numbers are near or far; none of them is suspected",
            zh="数值只有远近之分，不作怀疑",
        )
        raise NotCheckable(reason) from error
    if detected is not None and wanted is not None:
        found = _believed(found, detected, wanted)
    expected = float("nan")
    if answers is not None:
        probs = answers.looked_at.probs
        expected = float(probs[probs <= 1 - LEAST_SCORE].sum())  # of the labels that would be contradicted
    return Contradicted(suspects=found, num_images=len(split.part), expected=expected)


def _believed(found: tuple[Suspect, ...], detected: DetectedObjects, wanted: WantedObjects) -> tuple[Suspect, ...]:
    """Leave out what a model cannot tell that puts its boxes loosely, or misses much of a class."""
    overlaps = [
        float(image.overlaps[row, image.found[row]])
        for image in detected.matched
        for row in np.flatnonzero(image.found >= 0).tolist()
    ]
    is_tight = bool(overlaps) and float(np.median(overlaps)) >= TIGHT
    counts = np.bincount(wanted.labels, minlength=detected.num_classes)
    recall = np.bincount(wanted.labels, wanted.found, minlength=detected.num_classes) / np.maximum(counts, 1)

    def counts_for(suspect: Suspect) -> bool:
        if suspect.kind is SuspectKind.SHIFTED:
            return is_tight
        return suspect.kind is not SuspectKind.SPURIOUS or float(recall[suspect.label]) >= FINDS

    return tuple(suspect for suspect in found if counts_for(suspect))
