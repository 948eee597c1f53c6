"""D7."""

import numpy as np
import pytest

from snellen.data import load
from snellen.doctor import Status
from snellen.doctor.evidence.setup import Setup

GOOD = [(5, 5, 10, 10), (20, 10, 10, 20)]


def with_one(annotated, box):
    return load(annotated.coco("train", [[*GOOD, box], GOOD, GOOD]))


def test_quiet_on_healthy(annotated, judged):
    assert judged("D7", with_one(annotated, (30, 20, 30, 20))).status == Status.PASSED


@pytest.mark.parametrize(("box", "expected"), [
    ((5, 5, 0, 9), "ERROR no_area"), ((5, 5, 9, -3), "ERROR no_area"), ((70, 5, 9, 9), "ERROR outside"),
    ((-9, 2, 20, 20), "WARNING beyond"), ((5.2, 5, 10, 10), "WARNING repeated"),
])  # fmt: skip
def test_one_bad_box(annotated, judged, messages, box, expected):
    result = judged("D7", with_one(annotated, box))
    assert messages(result) == [expected]
    assert result.findings[0].num_places == 1
    assert result.findings[0].places[0].name == "train/1.png"
    assert len(result.findings[0].places[0].boxes) == 1


@pytest.mark.parametrize("box", [(-0.9, 2, 20, 20), (50, 30, 10.5, 10)])
def test_rounding_is_no_overhang(annotated, judged, box):
    assert judged("D7", with_one(annotated, box)).status == Status.PASSED


def test_two_classes_in_one_place_are_no_repetition(annotated, judged):
    index = annotated.boxes([[(1, 1, 9, 9, 0), (1, 1, 9, 9, 1)]])
    assert judged("D7", index).status == Status.PASSED


def test_repeated_lines_of_yolo(annotated, judged, said):
    text = "0 .5 .5 .2 .2\n"
    index = load(annotated.yolo([text + text, text]))
    assert said(judged("D7", index)) == [
        "1 of 3 boxes (33.3 %) are written twice, with the same class, on the same image."
    ]


def test_whole_images(annotated, judged, messages):
    index = annotated.boxes([[(0, 0, 100, 99.5, 0)]] * 30)
    assert messages(judged("D7", index)) == ["WARNING whole_images"]
    assert judged("D7", annotated.boxes([[(0, 0, 100, 90, 0)]] * 30)).status == Status.PASSED


def test_below_a_pixel_once_resized(annotated, judged, messages):
    index = annotated.boxes([[(10, 10, 14, 60, 0), (20, 20, 90, 90, 0)]] * 5, size=(1000, 1000))
    assert messages(judged("D7", index, Setup(image_size=200, resize="short"))) == ["WARNING vanishing"]
    assert judged("D7", index, Setup(image_size=500, resize="short")).status == Status.PASSED


def test_label_images_have_no_boxes(annotated, judged):
    assert judged("D7", annotated.without_boxes()).status == Status.NOT_CHECKABLE


def test_bccd_has_two(shared_data, judged, said):
    """The data's README names the two files."""
    result = judged("D7", load(shared_data / "bccd"))
    assert said(result)[0] == "2 of 4888 boxes have a width or height of 0 or less and are left out."
    names = {place.name for place in result.findings[0].places}
    assert names == {"JPEGImages/BloodImage_00338.jpg", "JPEGImages/BloodImage_00343.jpg"}
    assert np.all([place.boxes for place in result.findings[0].places])
