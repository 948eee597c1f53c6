"""R19 (DX-104, DX-007): thresholds that give away what a model knows."""

import numpy as np
from tests.doctor.results import answer, boxes, checked, only, run_of, sure, told

from snellen.doctor import Level, Status
from snellen.metrics import Decision
from snellen.structures import ClassScores, Detections


def rare(seed, number=400):
    """A tenth are of the second class, whose probability is below one half even where it is right."""
    rng = np.random.default_rng(seed)
    pairs = []
    for place in range(number):
        label = int(place % 10 == 0)
        p = float(np.clip(rng.normal(0.35 if label else 0.1, 0.08), 0.01, 0.6))
        pairs.append(answer([1 - p, p], label))
    return pairs


def test_the_threshold_of_a_rare_class():
    result = checked("R19", run_of(ClassScores, {"val": rare(0), "test": rare(1)}))
    finding = only(result)
    assert (finding.level, finding.message) == (Level.WARNING, "classes")
    assert told(result).startswith("F1 of dog is ")


def test_a_threshold_that_was_chosen_is_left():
    run = run_of(ClassScores, {"val": rare(0), "test": rare(1)}, decision=Decision(thresholds=(0.5, 0.2), found=1))
    assert checked("R19", run).status == Status.NOT_CHECKABLE


def test_without_validation_images_nothing_is_chosen():
    assert checked("R19", run_of(ClassScores, {"test": rare(1)})).status == Status.NOT_CHECKABLE


def test_equal_classes_are_no_finding():
    pairs = [sure(place % 2, place % 2) for place in range(100)]
    assert checked("R19", run_of(ClassScores, {"val": pairs, "test": pairs})).status == Status.PASSED


def test_the_usual_threshold_of_boxes_is_too_strict():
    pairs = [
        boxes([((10, 10, 30, 30), 0.15 + place / 400, 0), ((50, 50, 60, 60), 0.08, 0)], [((10, 10, 30, 30), 0)])
        for place in range(60)
    ]
    result = checked("R19", run_of(Detections, {"test": pairs}))
    assert only(result).message == "strict"
    assert "too strict for this model" in told(result)
    assert "--min-score 0.08" in result.check.pages["en"].fix_of(only(result))


def test_the_usual_threshold_of_boxes_is_too_low():
    pairs = [
        boxes([((10, 10, 30, 30), 0.9, 0), ((50, 50, 60, 60), 0.5, 0)], [((10, 10, 30, 30), 0)]) for _ in range(60)
    ]
    assert only(checked("R19", run_of(Detections, {"test": pairs}))).message == "lax"


def test_maps_have_no_threshold():
    from tests.doctor.results import painted

    from snellen.structures import SegmentationMap

    pairs = [painted(np.zeros((9, 9)), np.zeros((9, 9)))] * 3
    assert checked("R19", run_of(SegmentationMap, {"test": pairs})).status == Status.NOT_CHECKABLE
