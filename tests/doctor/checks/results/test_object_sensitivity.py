"""R5 (DX-094, DX-095, DX-096): sizes, shapes and crowds of which less is found."""

import numpy as np
from tests.doctor.results import boxes, checked, run_of, told

from snellen.doctor import Level, Status
from snellen.structures import Detections


def pairs(make, found_of, num_images=60, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(num_images):
        wanted = [make(rng) for _ in range(2)]
        rows.append(boxes([(box, 0.9, 0) for box in wanted if found_of(box, rng)], [(box, 0) for box in wanted]))
    return run_of(Detections, {"test": rows}, record={"image_size": 320}, options={"settings.suppression": "nms"})


def square(rng):
    x, y = rng.uniform(0, 60, 2)
    side = rng.uniform(4, 40)
    return (x, y, x + side, y + side)


def long(rng):
    x, y = rng.uniform(0, 60, 2)
    ratio = rng.uniform(1, 6)
    return (x, y, x + 20 * ratio**0.5, y + 20 / ratio**0.5)


def test_small_objects_that_are_missed():
    result = checked("R5", pairs(square, lambda box, rng: box[2] - box[0] > 16 or rng.random() < 0.2))
    finding = next(row for row in result.findings if row.message == "small")
    assert finding.level == Level.INFO
    assert finding.treatment.settings == {"image_size": 480}
    assert result.check.pages["en"].message(finding).startswith("Of objects below 1")
    assert finding.places[0].boxes


def test_long_objects_that_are_missed():
    def found(box, rng):
        return (box[2] - box[0]) / (box[3] - box[1]) < 4 or rng.random() < 0.2

    result = checked("R5", pairs(long, found))
    assert [row.message for row in result.findings] == ["odd"]
    assert "times as long as wide" in told(result)


def test_objects_in_a_crowd_that_are_missed():
    rng = np.random.default_rng(0)
    rows = []
    for place in range(60):
        one, near = (10.0, 10, 50, 50), (20.0 if place % 2 else 60.0, 10, 60.0 if place % 2 else 99.0, 50)
        is_found = not place % 2 or rng.random() < 0.3
        rows.append(boxes([(one, 0.9, 0), *([(near, 0.9, 0)] if is_found else [])], [(one, 0), (near, 0)]))
    result = checked("R5", run_of(Detections, {"test": rows}, options={"settings.suppression": "nms"}))
    finding = next(row for row in result.findings if row.message == "crowded")
    assert finding.treatment.settings == {"model_options": {"settings.suppression": "soft_gaussian"}}


def test_misses_by_chance_are_no_finding():
    for seed in range(10):
        result = checked("R5", pairs(square, lambda _box, rng: rng.random() < 0.7, seed=seed))
        assert result.status == Status.PASSED


def test_few_objects_are_not_judged():
    run = pairs(square, lambda _box, _rng: True, num_images=10)
    assert checked("R5", run).status == Status.NOT_CHECKABLE
