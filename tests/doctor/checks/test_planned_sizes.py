"""What a planned size of images makes of objects: D19, D30, D31, D39, M14, M22."""

import numpy as np
import pytest

from snellen.doctor import Status
from snellen.doctor.evidence.setup import FeatureMap, Setup


def setup(size=100, *, stride=8, field=90, **more):
    return Setup(image_size=size, resize="square", maps=(FeatureMap(name="p3", stride=stride, receptive_field_px=field),
                                                         FeatureMap(name="p4", stride=2 * stride)), **more)  # fmt: skip


def squares(annotated, side, count=20, size=(100, 100)):
    return annotated.boxes([[(10, 10, 10 + side, 10 + side, 0)]] * count, size=size)


@pytest.mark.parametrize(("side", "size", "stride", "found"), [
    (40, 100, 8, False), (40, 25, 4, False), (40, 18, 4, True), (40, 100, 32, False), (40, 60, 32, True),
])  # fmt: skip
def test_tiny_objects(annotated, judged, messages, side, size, stride, found):
    """D19 (DX-096): 8 px, or a cell of the finest map."""
    result = judged("D19", squares(annotated, side), setup(size, stride=stride))
    assert messages(result) == (["WARNING tiny"] if found else [])


def test_tiny_objects_name_a_size_that_does(annotated, judged, said):
    (text,) = said(judged("D19", squares(annotated, 40), setup(10, stride=4)))
    assert text == (
        "Half of the training objects are smaller than 4.0 px once images are resized to 10; 100 % are below 8.0 px. "
        "An image size of 32 would do."
    )
    assert judged("D19", squares(annotated, 40), setup(32, stride=4)).status == Status.PASSED


def test_odd_images_without_a_planned_size(annotated, judged, messages):
    index = squares(annotated, 4, 30)
    index.sizes[7] = (20, 900)
    result = judged("D19", index)
    assert messages(result) == ["INFO odd_size"]
    assert result.findings[0].places[0].note == "900 x 20"
    assert result.findings[0].unchecked is not None
    index.sizes[7] = (100, 120)
    assert judged("D19", index).status == Status.PASSED


@pytest.mark.parametrize(("small", "expected"), [(0, []), (2, ["INFO default"]), (6, ["WARNING default"])])
def test_objects_below_the_stride(annotated, judged, messages, small, expected):
    """D30 (DX-096)."""
    rows = [[(10, 10, 13 if number < small else 60, 13, 0)] for number in range(20)]
    assert messages(judged("D30", annotated.boxes(rows), setup())) == expected


def test_objects_below_the_stride_need_maps(annotated, judged):
    assert judged("D30", squares(annotated, 9), Setup(image_size=9, resize="short")).status == Status.NOT_CHECKABLE
    assert judged("D30", squares(annotated, 9)).status == Status.NOT_CHECKABLE


@pytest.mark.parametrize(("pairs", "expected"), [(0, []), (1, ["INFO default"]), (8, ["WARNING default"])])
def test_objects_that_share_a_cell(annotated, judged, messages, pairs, expected):
    """D31 (DX-095): on a grid of 7 a cell of a 100-px image has 14.3 px."""
    alone, pair = [(0, 0, 10, 10, 0), (50, 50, 90, 90, 0)], [(0, 0, 10, 10, 0), (2, 2, 20, 20, 1)]
    rows = [pair] * pairs + [alone] * (20 - pairs)
    result = judged("D31", annotated.boxes(rows), setup(grid=7))
    assert messages(result) == expected
    assert sum(finding.num_places for finding in result.findings) == pairs


def test_a_finer_grid_tells_them_apart(annotated, judged):
    rows = [[(0, 0, 10, 10, 0), (2, 2, 20, 20, 1)]] * 8
    assert judged("D31", annotated.boxes(rows), setup(grid=14)).status == Status.PASSED
    assert judged("D31", annotated.boxes(rows), setup()).status == Status.NOT_CHECKABLE


@pytest.mark.parametrize(("long", "grid", "expected"), [
    (0, 7, []), (2, 7, ["INFO default"]), (10, 7, ["WARNING rigid"]), (10, None, ["INFO default"]),
])  # fmt: skip
def test_long_boxes(annotated, judged, messages, long, grid, expected):
    """D39 (DX-094, DX-098)."""
    rows = [[(0, 0, 90 if number < long else 20, 10, 0)] for number in range(20)]
    assert messages(judged("D39", annotated.boxes(rows), setup(grid=grid))) == expected


def anchors(*sides):
    return np.array([(side, side) for side in sides], np.float32)


@pytest.mark.parametrize(("given", "found"), [((10, 40), False), ((40,), False), ((200,), True), ((5,), True)])
def test_anchors(annotated, judged, messages, given, found):
    """M14 (DX-093): boxes of 25 px, a ratio of 4."""
    index = squares(annotated, 25)
    result = judged("M14", index, setup(anchors=anchors(*given)))
    assert messages(result) == (["WARNING default"] if found else [])


def test_anchors_that_would_fit(annotated, judged, said):
    index = annotated.boxes([[(0, 0, 10, 80, 0), (0, 0, 60, 12, 0)]] * 20)
    result = judged("M14", index, setup(model="yolov3", anchors=anchors(9, 400)))
    assert said(result) == [
        "40 of 40 training boxes are like none of the 2 anchors: the best possible recall is 0.0 %. Anchors from the "
        "data would reach 100.0 %: 60 x 12, 10 x 80."
    ]


def test_anchors_are_made_of_what_the_check_asks_for(annotated, judged):
    """The treatment applied is a pass."""
    from snellen.models import MODELS

    name = next(entry.name for entry in MODELS if entry.num_anchors)
    chance = np.random.default_rng(0)
    rows = [[(0, 0, *chance.uniform(3, 95, 2), 0)] for _ in range(200)]
    index = annotated.boxes(rows)
    result = judged("M14", index, setup(model=name, anchors=np.array([[2, 2]] * 6, np.float32)))
    (finding,) = result.findings
    made = np.array(finding.treatment.settings["model_options"]["anchors"], np.float32)
    assert judged("M14", index, setup(model=name, anchors=made)).status == Status.PASSED


def test_models_without_anchors(annotated, judged):
    assert judged("M14", squares(annotated, 9), setup()).status == Status.NOT_CHECKABLE


@pytest.mark.parametrize(
    ("field", "expected"), [(99, []), (60, []), (50, ["INFO objects"]), (25, ["WARNING objects"]), (None, None)]
)
def test_receptive_field(annotated, judged, messages, field, expected):
    """M22 (DX-037, DX-107): one object of five has 55 px."""
    rows = [[(0, 0, 55 if number < 4 else 20, 20, 0)] for number in range(20)]
    result = judged("M22", annotated.boxes(rows), setup(field=field))
    if expected is None:
        assert result.status == Status.NOT_CHECKABLE
    else:
        assert messages(result) == expected


@pytest.mark.parametrize(("field", "expected"), [(20, ["WARNING image"]), (30, [])])
def test_receptive_field_of_a_segmenter(annotated, judged, messages, field, expected):
    from snellen.data import load

    values = np.zeros((100, 100))
    values[:50] = 1
    index = load(annotated.masks([values] * 3))
    assert messages(judged("M22", index, setup(field=field))) == expected


def test_no_more_than_the_whole_image_is_needed(annotated, judged):
    assert judged("M22", squares(annotated, 90), setup(50, field=50)).status == Status.PASSED
