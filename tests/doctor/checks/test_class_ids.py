"""D5 (DX-012)."""

import json
from dataclasses import replace

import numpy as np
import pytest

from snellen.data import load
from snellen.doctor import Level, Status


def lines(*labels):
    return ["".join(f"{label} .5 .5 .{2 + place} .2\n" for place, label in enumerate(labels))] * 3


def test_quiet_on_healthy(annotated, judged):
    assert judged("D5", load(annotated.yolo(lines(0, 1)))).status == Status.PASSED


@pytest.mark.parametrize(("labels", "expected"), [
    ((1, 2), ["ERROR from_one"]), ((0, 1, 2), ["ERROR out_of_range"]), ((1,), []), ((0, 5), ["ERROR out_of_range"]),
])  # fmt: skip
def test_numbers_of_yolo(annotated, judged, messages, labels, expected):
    """DX-012, SYS-238, ERR-130: from 1 to the number of classes."""
    assert messages(judged("D5", load(annotated.yolo(lines(*labels))))) == expected


def test_says_who_is_never_named(annotated, judged, said):
    assert said(judged("D5", load(annotated.yolo(lines(1, 2))))) == [
        "Labels go from 1 to 2 for 2 classes: they begin at 1 instead of 0, so that cat is never named and dog is "
        "taught under another name."
    ]


def test_classes_without_names_that_begin_at_1(annotated, judged, messages):
    folder = annotated.yolo(lines(1, 2, 3))
    (folder / "data.yaml").unlink()
    assert messages(judged("D5", load(folder))) == ["WARNING from_one_unnamed"]


def test_values_of_masks_from_1(annotated, judged, messages):
    values = np.ones((20, 20))
    values[5:10], values[10:15] = 2, 3
    index = load(annotated.masks([values] * 2, names=("sky", "road", "tree")))
    assert messages(judged("D5", index)) == ["ERROR from_one"]


def test_names_in_several_spellings(annotated, judged, said):
    index = annotated.boxes([[(1, 1, 9, 9, 0), (1, 1, 9, 9, 2)]], classes=("Cat", "dog", "cat "))
    assert said(judged("D5", index)) == ["1 classes are written in several ways, such as 'Cat', 'cat '."]


@pytest.mark.parametrize(("used", "expected"), [(True, "WARNING background"), (False, "INFO background_unused")])
def test_background_among_objects(annotated, judged, messages, used, expected):
    index = annotated.boxes([[(1, 1, 9, 9, 1), (1, 1, 9, 9, 0 if used else 1)]], classes=("Background", "dog"))
    assert messages(judged("D5", index)) == [expected]


def test_one_number_with_two_names(annotated, judged):
    annotated.coco("train", [[(5, 5, 9, 9)]])
    folder = annotated.coco("val", [[(5, 5, 9, 9)]])
    path = folder / "annotations" / "instances_val.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"categories": [{"id": 1, "name": "dog"}]}))
    (finding,) = judged("D5", load(folder)).findings
    assert (finding.level, finding.message) == (Level.ERROR, "conflict")


def test_sparse_numbers_of_coco_are_fine(annotated, judged):
    index = annotated.boxes([[(1, 1, 9, 9, 0), (1, 1, 9, 9, 1)]])
    sparse = replace(index, annotations=replace(index.annotations, category_ids=np.array([7, 90])))
    assert judged("D5", sparse).status == Status.PASSED
