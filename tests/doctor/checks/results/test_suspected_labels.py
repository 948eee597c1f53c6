"""R12 (DX-011): labels of held-out images that a good model surely contradicts."""

from tests.doctor.results import boxes, checked, only, run_of, sure, told

from snellen.data import ClassTable
from snellen.doctor import Level, Status
from snellen.structures import ClassScores, Detections


def run(wrong, number=60, *, confidence=0.97):
    import numpy as np

    pairs = [
        sure(place % 2, 1 - place % 2 if place < wrong else place % 2, confidence=confidence) for place in range(number)
    ]
    labels = np.array([place % 2 for place in range(number)], np.int32)
    return run_of(ClassScores, {"test": pairs}, annotations=ClassTable(labels=labels))


def test_labels_that_are_contradicted():
    result = checked("R12", run(8))
    finding = only(result)
    assert (finding.level, finding.num_places) == (Level.INFO, 8)
    assert finding.places[0].note == "wrong class: cat → dog"
    assert told(result) == "8 labels on 8 images of test (13 %) are contradicted for sure: wrong class 8."


def test_doubts_are_not_told():
    assert checked("R12", run(3, confidence=0.7)).status == Status.PASSED


def test_a_bad_model_contradicts_nothing():
    assert checked("R12", run(50)).status == Status.NOT_CHECKABLE


def test_a_box_that_is_missing():
    from tests.doctor.results import box_table

    there, other = (10, 10, 30, 30), (60, 60, 90, 90)
    pairs = [
        boxes([(there, 0.99, 0), (other, 0.99, 0)], [(there, 0), *([] if place == 0 else [(other, 0)])])
        for place in range(40)
    ]
    finding = only(checked("R12", run_of(Detections, {"test": pairs}, annotations=box_table(pairs))))
    assert finding.places[0].note == "missing: — → cat"
    assert finding.places[0].boxes == ((60.0, 60.0, 90.0, 90.0),)


def test_errors_that_a_model_expects_of_itself_are_not_the_labels():
    """One answer of twenty is wrong, and the confidence says so: 2 of 40 at 0.95."""
    assert checked("R12", run(2, 40, confidence=0.95)).status == Status.PASSED
