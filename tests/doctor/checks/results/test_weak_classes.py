"""R4 (DX-001, DX-005): classes that are hardly ever recognised."""

import numpy as np
from tests.doctor.results import box_table, boxes, checked, only, painted, run_of, sure, told

from snellen.data import ClassTable
from snellen.doctor import Level, Status
from snellen.structures import ClassScores, Detections, SegmentationMap

NAMES = ("cat", "dog", "owl")


def run(recall_of_owl, *, of_class=40, train=(50, 50, 50)):
    pairs = [sure(label, label, num_classes=3) for label in (0, 1) for _ in range(of_class)]
    hits = round(of_class * recall_of_owl)
    pairs += [sure(2, 2 if place < hits else 0, num_classes=3) for place in range(of_class)]
    labels = [*[0] * len(pairs), *np.repeat([0, 1, 2], train)]
    return run_of(
        ClassScores,
        {"test": pairs},
        classes=NAMES,
        annotations=ClassTable(labels=np.array(labels, np.int32)),
        num_train=sum(train),
    )


def test_a_class_that_is_never_named():
    result = checked("R4", run(0.1))
    finding = only(result)
    assert (finding.level, finding.message) == (Level.WARNING, "default")
    assert [place.name for place in finding.places] == ["owl"]
    assert told(result) == (
        "Of 40 cases of owl 10 % are recognised, of a class in the mean 70 %. Such classes: 1. It is not rare in "
        "training (50 cases; median 50)."
    )


def test_a_rare_class_gets_another_sampler():
    finding = only(checked("R4", run(0.1, train=(100, 100, 10))))
    assert finding.message == "rare"
    assert finding.treatment.settings == {"sampler": "square_root"}


def test_a_fair_class_is_no_finding():
    assert checked("R4", run(0.6)).status == Status.PASSED


def test_a_class_with_few_images_says_nothing():
    pairs = [sure(label, 0) for label in (0, 0, 0, 1)] * 3
    assert checked("R4", run_of(ClassScores, {"test": pairs})).status == Status.NOT_CHECKABLE
    pairs += [sure(0, 0)] * 30
    assert checked("R4", run_of(ClassScores, {"test": pairs})).status == Status.PASSED


def test_a_bad_model_is_told_and_not_warned_of():
    pairs = [sure(place % 2, 0) for place in range(80)]
    assert only(checked("R4", run_of(ClassScores, {"test": pairs}))).level == Level.INFO


def test_objects_of_a_class():
    box = (10, 10, 30, 30)
    pairs = [boxes([(box, 0.9, 0)] if place < 40 else [], [(box, place // 40)]) for place in range(80)]
    run = run_of(Detections, {"test": pairs}, annotations=box_table(pairs, 20), num_train=20)
    finding = only(checked("R4", run))
    assert [place.name for place in finding.places] == ["dog"]
    assert finding.treatment.settings == {"sampler": "repeat_factor"}


def test_pixels_of_a_class():
    truth = np.zeros((100, 100), int)
    truth[:10] = 1
    run = run_of(SegmentationMap, {"test": [painted(np.zeros((100, 100)), truth)] * 12})
    assert [place.name for place in only(checked("R4", run)).places] == ["dog"]
