"""D12."""

import numpy as np
import pytest

from snellen.doctor import Status

CAT, DOG = (1, 1, 9, 9, 0), (20, 20, 40, 50, 1)


def built(annotated, train, val, test=None):
    splits = {"train": len(train), "val": len(val), **({} if test is None else {"test": len(test)})}
    return annotated.boxes([*train, *val, *(test or [])], splits=splits)


@pytest.mark.parametrize(("train", "val", "test", "expected"), [
    ([[CAT, DOG]], [[CAT, DOG]], None, []),
    ([[CAT]], [[CAT, DOG]], None, ["WARNING not_trained"]),
    ([[CAT, DOG]], [[CAT]], None, ["WARNING not_in_val"]),
    ([[CAT, DOG]], [[CAT, DOG]], [[CAT]], ["INFO not_in_test"]),
    ([[CAT]], [[CAT]], None, ["INFO never"]),
    ([[CAT, DOG]], [[]], None, ["WARNING empty"]),
    ([[]], [[CAT, DOG]], None, ["ERROR empty"]),
    ([[CAT, DOG]], [[CAT, DOG]], [[]], ["INFO empty"]),
])  # fmt: skip
def test_each_case(annotated, judged, messages, train, val, test, expected):
    assert messages(judged("D12", built(annotated, train, val, test))) == expected


def test_says_which(annotated, judged, said):
    result = judged("D12", built(annotated, [[CAT, DOG]], [[CAT]]))
    assert said(result) == ["1 of 2 classes are trained but do not occur in the validation split: dog."]
    assert [(place.kind, place.name) for place in result.findings[0].places] == [("class", "dog")]


def test_without_labels_nothing_can_be_missing(annotated, judged):
    assert judged("D12", annotated.boxes([[], []])).status == Status.NOT_CHECKABLE
    assert judged("D12", annotated.without_boxes()).status == Status.NOT_CHECKABLE


def test_order_of_images_does_not_matter(annotated, judged, messages):
    index = built(annotated, [[CAT, DOG], [CAT]], [[CAT], [CAT]])
    turned = index.select(np.array([3, 1, 2, 0]))
    assert messages(judged("D12", turned)) == messages(judged("D12", index))
