"""D40 (DX-023; DeepCrime's VRM)."""

import numpy as np
import pytest

from snellen.data import load
from snellen.doctor import Status

CAT, DOG = (1, 1, 9, 9, 0), (20, 20, 40, 50, 1)


def built(annotated, shares, counts=(60, 40)):
    rows = []
    for share, count in zip(shares, counts, strict=True):
        rows += [[CAT] if number < share * count else [DOG] for number in range(count)]
    return annotated.boxes(rows, splits=dict(zip(("train", "val"), counts, strict=True)))


@pytest.mark.parametrize(("shares", "expected"), [
    ((0.5, 0.5), []), ((0.5, 0.6), []), ((0.5, 0.95), ["WARNING differing"]), ((0.9, 0.2), ["WARNING differing"]),
])  # fmt: skip
def test_shares_of_classes(annotated, judged, messages, shares, expected):
    assert messages(judged("D40", built(annotated, shares))) == expected


@pytest.mark.parametrize("seed", range(5))
def test_quiet_on_random_divisions(annotated, judged, seed):
    chance = np.random.default_rng(seed)
    rows = [[CAT] * int(chance.integers(0, 9)) + [DOG] * int(chance.integers(0, 3)) for _ in range(200)]
    index = annotated.boxes(rows, splits={"train": 150, "val": 50})
    assert judged("D40", index).status == Status.PASSED


@pytest.mark.parametrize(("count", "found"), [(3, True), (19, True), (20, False)])
def test_few_images_to_choose_by(annotated, judged, messages, count, found):
    index = built(annotated, (0.5, 0.5), (60, count))
    assert ("WARNING tiny" in messages(judged("D40", index))) == found


def test_without_splits(annotated, judged, said):
    assert said(judged("D40", annotated.boxes([[CAT], [DOG]]))) == [
        "The 2 images are not divided: before a training Snellen makes the splits itself."
    ]


@pytest.mark.parametrize(("name", "expected"), [("bccd", []), ("hymenoptera", []), ("fruit", ["INFO no_val"])])
def test_real_splits(shared_data, judged, messages, name, expected):
    assert messages(judged("D40", load(shared_data / name))) == expected
