"""D6: the reading that a format prescribes against five others."""

import numpy as np
import pytest

from snellen.data import load
from snellen.doctor import Level, Status
from snellen.doctor.evidence.written_boxes import READINGS, written_boxes

HEIGHT, WIDTH = 40, 60


def drawn(count=40, seed=0, spread=1.0):
    """Boxes xyxy all over an image; ``spread`` below 1 keeps them small and in the middle."""
    chance = np.random.default_rng(seed)
    sides = spread * chance.uniform(3, [25, 18], (count, 2))
    room = np.array([WIDTH, HEIGHT]) - sides
    corners = room / 2 + spread * room * (chance.uniform(0, 1, (count, 2)) - 0.5)
    return np.concatenate([corners, corners + sides], axis=1)


def written(boxes, reading):
    form, unit = reading.split(", ")
    sides, first = boxes[:, 2:] - boxes[:, :2], boxes[:, :2]
    numbers = {"x1 y1 x2 y2": boxes, "x1 y1 w h": np.hstack([first, sides]), "cx cy w h": np.hstack([first + sides / 2,
               sides])}[form]  # fmt: skip
    return numbers / [WIDTH, HEIGHT, WIDTH, HEIGHT] if unit == "shares" else numbers


def as_coco(annotated, numbers):
    return load(annotated.coco("train", np.array_split(numbers.tolist(), 8), size=(HEIGHT, WIDTH)))


def as_yolo(annotated, numbers):
    return load(annotated.yolo(["".join(f"0 {' '.join(map(str, row))}\n" for row in part)
                                for part in np.array_split(numbers, 8)]))  # fmt: skip


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize(("write", "declared"), [(as_coco, "x1 y1 w h, pixels"), (as_yolo, "cx cy w h, shares")])
def test_finds_the_true_reading(annotated, judged, write, declared, reading):
    result = judged("D6", write(annotated, written(drawn(), reading)))
    if reading == declared:
        assert result.status == Status.PASSED
    else:
        (finding,) = result.findings
        assert finding.level == Level.ERROR
        assert finding.numbers["best"] == reading


def test_numbers_are_those_of_the_file(annotated):
    numbers = written(drawn(), "x1 y1 x2 y2, pixels")
    found = written_boxes(as_coco(annotated, numbers)).numbers
    assert np.allclose(found[np.lexsort(found.T)], numbers[np.lexsort(numbers.T)], atol=1e-4)


def test_says_both_readings(annotated, judged, said):
    (text,) = said(judged("D6", as_coco(annotated, written(drawn(), "x1 y1 x2 y2, pixels"))))
    assert text.startswith("Of 40 boxes of train, ")
    assert text.endswith(" % are valid as x1 y1 w h, pixels, which the format prescribes, but 100.0 % as x1 y1 x2 y2, "
                         "pixels.")  # fmt: skip


def test_small_boxes_in_the_middle_tell_nothing(annotated, judged):
    result = judged("D6", as_coco(annotated, written(drawn(spread=0.4), "x1 y1 w h, pixels")))
    assert result.status == Status.NOT_CHECKABLE


def test_few_boxes_tell_nothing(annotated, judged):
    assert judged("D6", as_coco(annotated, written(drawn(9), "x1 y1 x2 y2, pixels"))).status == Status.NOT_CHECKABLE


def test_a_few_overhangs_are_no_other_reading(annotated, judged):
    numbers = written(drawn(), "x1 y1 w h, pixels")
    numbers[:3, 2] += 40
    assert judged("D6", as_coco(annotated, numbers)).status == Status.PASSED


@pytest.mark.parametrize("name", ["bccd", "fruit", "pennfudan"])
def test_real_data_is_read_rightly(shared_data, judged, name):
    index = load(shared_data / name)
    assert judged("D6", index).status == Status.PASSED
    found = written_boxes(index)
    shares = {reading: found.is_valid(reading).mean() for reading in READINGS}
    assert shares.pop(found.declared) > 0.99
    assert max(shares.values()) < 0.8
