"""D38."""

import numpy as np
import pytest

from snellen.data import load
from snellen.doctor import Level, Status

CAT = (1, 1, 9, 9, 0)


def counted(annotated, *parts):
    rows = [[CAT] * int(number) for part in parts for number in part]
    names = ("train", "val")[: len(parts)]
    splits = dict(zip(names, map(len, parts), strict=True)) if len(parts) > 1 else None
    return annotated.boxes(rows, splits=splits)


@pytest.mark.parametrize(("share", "found"), [(1.0, False), (0.9, False), (0.5, True), (0.3, True)])
def test_splits_annotated_to_different_degrees(annotated, judged, messages, share, found):
    chance = np.random.default_rng(0)
    train, val = chance.poisson(12, 150), chance.poisson(12, 60)
    index = counted(annotated, chance.binomial(train, share), val)
    assert ("WARNING differing" in messages(judged("D38", index))) == found


def test_images_that_look_unfinished(annotated, judged, said):
    numbers = np.random.default_rng(0).poisson(15, 100).clip(8)
    numbers[3], numbers[50] = 0, 1
    result = judged("D38", counted(annotated, numbers))
    assert said(result) == [
        "2 of 100 images have far fewer objects than the usual 16 (down to 0): they may not be annotated to the end."
    ]
    assert [place.name for place in result.findings[0].places] == ["3.jpg", "50.jpg"]


@pytest.mark.parametrize("seed", range(6))
def test_quiet_on_usual_counts(annotated, judged, seed):
    chance = np.random.default_rng(seed)
    numbers = chance.permutation(np.concatenate([chance.poisson(9, 120), chance.geometric(0.2, 80)]))
    assert judged("D38", counted(annotated, numbers[:150], numbers[150:])).status == Status.PASSED


def test_intended_negatives(annotated, judged):
    numbers = np.random.default_rng(0).poisson(15, 100).clip(8)
    numbers[::10] = 0
    assert judged("D38", counted(annotated, numbers)).status == Status.PASSED


def test_few_images_tell_nothing(annotated, judged):
    assert judged("D38", counted(annotated, [3] * 9)).status == Status.NOT_CHECKABLE


@pytest.mark.parametrize("name", ["bccd", "fruit", "pennfudan", "coco"])
def test_no_warning_on_real_data(shared_data, judged, name):
    assert all(finding.level == Level.INFO for finding in judged("D38", load(shared_data / name)).findings)
