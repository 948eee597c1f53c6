"""Whether answers fit the truth far better once they are read otherwise; by the type of the prediction."""

from collections.abc import Callable, Mapping

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.results.answer_readings import reading_of_classes, reading_of_maps
from snellen.doctor.evidence.results.box_readings import reading_of_boxes
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.readings import Reading
from snellen.structures import ClassScores, Detections, Prediction, SegmentationMap

__all__ = ["other_reading"]

_READINGS: Mapping[type[Prediction], Callable[[EvaluatedRun], Reading]] = {
    ClassScores: reading_of_classes,
    Detections: reading_of_boxes,
    SegmentationMap: reading_of_maps,
}


def other_reading(run: EvaluatedRun) -> Reading:
    """Return the other reading of a run's answers that fits clearly better, if there is one.

    Raises:
        NotCheckable: If there is none for this kind of prediction.
    """
    if run.kind not in _READINGS:
        raise NotCheckable(Reading.ABSENT)
    return _READINGS[run.kind](run)
