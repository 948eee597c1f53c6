"""D14 (DX-008, DX-014)."""

import pytest
from scipy.stats import binomtest

from snellen.doctor import Status

CAT, DOG = (1, 1, 9, 9, 0), (20, 20, 40, 50, 1)


def built(annotated, train, val):
    """``train`` and ``val`` dogs among plenty of cats."""
    rows = [[CAT] * 30 + [DOG] * number for number in (train, val)]
    return annotated.boxes(rows, splits={"train": 1, "val": 1})


@pytest.mark.parametrize(("train", "val", "expected"), [
    (20, 10, []), (19, 10, ["WARNING train"]), (20, 9, ["WARNING val"]), (1, 1, ["WARNING train", "WARNING val"]),
    (0, 0, []),
])  # fmt: skip
def test_each_case(annotated, judged, messages, train, val, expected):
    assert messages(judged("D14", built(annotated, train, val))) == expected


def test_says_what_so_few_can_tell(annotated, judged, said):
    (text,) = said(judged("D14", built(annotated, 20, 8)))
    interval = binomtest(4, 8).proportion_ci(method="wilson")
    half = round(50 * (interval.high - interval.low))
    assert text == (
        "1 of 2 classes have fewer than 10 validation examples; dog has 8, which tells a recall to ± "
        f"{half} points at best."
    )


def test_without_splits_all_images_are_counted(annotated, judged, messages):
    assert messages(judged("D14", annotated.boxes([[CAT] * 30 + [DOG] * 5]))) == ["WARNING train"]
    assert judged("D14", annotated.boxes([[]])).status == Status.NOT_CHECKABLE
