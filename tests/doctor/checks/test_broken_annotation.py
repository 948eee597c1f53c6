"""D4."""

import pytest

from snellen.data import load
from snellen.doctor import Level, Status

BOXES = [[(5, 5, 10, 10), (20, 10, 10, 20)]] * 3


def test_quiet_on_healthy(annotated, judged):
    assert judged("D4", load(annotated.coco("train", BOXES))).status == Status.PASSED


@pytest.mark.parametrize(("change", "message"), [
    ({"category_id": 9}, "dangling"), ({"image_id": 9}, "dangling"), ({"bbox": [1, 2, 3]}, "unreadable"),
    ({"bbox": [float("nan"), 1, 2, 3]}, "unreadable"), ({"segmentation": {"size": [40, 60], "counts": [1]}}, "outline"),
    ({"id": 101}, "same_id"),
])  # fmt: skip
def test_entries_that_are_left_out(annotated, judged, messages, change, message):
    good = {"id": 100, "image_id": 1, "category_id": 1, "bbox": [5, 5, 9, 9]}
    folder = annotated.coco("train", BOXES, annotations=[good, {**good, "id": 101}, {**good, "id": 102, **change}])
    result = judged("D4", load(folder))
    level = "WARNING" if message in ("outline", "same_id") else "ERROR"
    assert messages(result) == [f"{level} {message}"]


def test_names_objects_by_their_numbers(annotated, judged):
    good = {"id": 7, "image_id": 1, "category_id": 1, "bbox": [5, 5, 9, 9]}
    changes = ({"category_id": 9}, {"id": 8, "bbox": [1]}, {"id": 9, "image_id": 5}, {"id": 10})
    folder = annotated.coco("train", BOXES, annotations=[{**good, **change} for change in changes])
    places = [place.note for finding in judged("D4", load(folder)).findings for place in finding.places]
    assert places == ["#1", "id 7", "id 9"]


def test_says_where(annotated, judged, said):
    folder = annotated.yolo(["0 .5 .5 .2 .2\n", "0 .5 .5 .2 .2\n1 .5 half .2 .2\n1 .5 .5\n"])
    result = judged("D4", load(folder))
    assert said(result) == ["2 entries cannot be read and are left out; the first in labels/1.txt:2."]
    (finding,) = result.findings
    assert [(place.name, place.line) for place in finding.places] == [("labels/1.txt", 2), ("labels/1.txt", 3)]


def test_numbers_that_are_not_finite(annotated, judged, messages):
    assert messages(judged("D4", load(annotated.yolo(["0 nan .5 .2 .2\n1 .5 .5 .2 .2\n"])))) == ["ERROR not_finite"]


def test_fruit_states_wrong_sizes(shared_data, judged):
    (finding,) = judged("D4", load(shared_data / "fruit")).findings
    assert (finding.level, finding.message, finding.num_places) == (Level.WARNING, "size", 37)
