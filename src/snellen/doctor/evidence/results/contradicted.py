"""Labels of held-out images that the model contradicts, surely enough to look at them."""

from dataclasses import dataclass

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.words import Text
from snellen.doctor.wrong_labels import Suspect, suspects_of_predictions
from snellen.errors import InputError

__all__ = ["Contradicted", "contradicted_labels"]

LEAST_SCORE = 0.9  # of a label that is listed; 0.5 lists every answer that is wrong


@dataclass(frozen=True, kw_only=True, eq=False)
class Contradicted:
    """Labels that are likely wrong.

    Attributes:
        suspects: The surest first; ``row`` is one of the part that is looked at.
        num_images: That were looked at.
    """

    suspects: tuple[Suspect, ...]
    num_images: int


def contradicted_labels(run: EvaluatedRun) -> Contradicted:
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
    return Contradicted(suspects=found, num_images=len(split.part))
