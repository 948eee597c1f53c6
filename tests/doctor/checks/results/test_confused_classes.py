"""R16: pairs of classes that make up much of the errors."""

import numpy as np
from tests.doctor.results import checked, only, run_of, sure, told

from snellen.doctor import Status
from snellen.structures import ClassScores

NAMES = ("cat", "dog", "owl", "ant")


def run(named, *, of_class=50, record=None):
    """Return a run in which so many images of each class (row) are named each class (column)."""
    pairs = [
        sure(label, other, num_classes=4)
        for label, row in enumerate(named)
        for other, count in enumerate(row)
        for _ in range(count)
    ]
    assert len(pairs) == of_class * 4
    return run_of(ClassScores, {"test": pairs}, classes=NAMES, record=record or {})


def test_two_classes_that_are_confused():
    result = checked(
        "R16", run([[35, 15, 0, 0], [5, 45, 0, 0], [1, 1, 48, 0], [0, 1, 1, 48]], record={"image_size": 64})
    )
    finding = only(result)
    assert finding.treatment.settings == {"image_size": 96}
    assert finding.num_places == 20
    assert "cat → dog" in {place.note[:9] for place in finding.places}
    assert told(result) == (
        "15 of 50 images of cat are named dog, and 5 of 50 the other way round: 83 % of all 24 errors. Further such "
        "pairs: 0."
    )


def test_errors_that_are_spread_are_no_finding():
    assert checked("R16", run([[44, 2, 2, 2], [2, 44, 2, 2], [2, 2, 44, 2], [2, 2, 2, 44]])).status == Status.PASSED


def test_few_errors_are_no_finding():
    assert checked("R16", run([[46, 4, 0, 0], [0, 50, 0, 0], [0, 0, 50, 0], [0, 0, 0, 50]])).status == Status.PASSED


def test_few_images_are_not_judged():
    pairs = [sure(0, 1)] * 20
    assert checked("R16", run_of(ClassScores, {"test": pairs})).status == Status.NOT_CHECKABLE


def test_good_classifiers_are_hardly_ever_told_of():
    """Errors at random, 10 % of 200 images in 4 classes: 40 runs."""
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 4, 200)
        named = np.where(rng.random(200) < 0.1, (labels + rng.integers(1, 4, 200)) % 4, labels)
        pairs = [sure(int(a), int(b), num_classes=4) for a, b in zip(labels, named, strict=True)]
        found += bool(checked("R16", run_of(ClassScores, {"test": pairs}, classes=NAMES)).findings)
    assert found <= 1
