"""D36 (DX-005)."""

import numpy as np
import pytest

from snellen.data import load
from snellen.doctor import Level, Status


def with_few(annotated, pixels):
    values = np.zeros((100, 100))
    values[50:] = 1
    values.reshape(-1)[:pixels] = 2
    return load(annotated.masks([values] * 2, names=("sky", "road", "bird")))


@pytest.mark.parametrize(("pixels", "expected"), [(120, []), (50, ["INFO default"]), (5, ["WARNING default"])])
def test_level_follows_the_share(annotated, judged, messages, pixels, expected):
    assert messages(judged("D36", with_few(annotated, pixels))) == expected


def test_says_which(annotated, judged, said):
    assert said(judged("D36", with_few(annotated, 5))) == [
        "bird covers 0.05 % of the labelled pixels, road 1000 times as many; 1 of 3 classes are below 1 %."
    ]


def test_one_class_is_not_checkable(annotated, judged):
    folder = annotated.masks([np.zeros((20, 20))] * 2, names=("a", "b"))
    assert judged("D36", load(folder)).status == Status.NOT_CHECKABLE


def test_void_does_not_count(annotated, judged):
    values = np.full((100, 100), 255)
    values[:2, :50], values[:2, 50:] = 0, 1
    assert judged("D36", load(annotated.masks([values] * 2, names=("a", "b", "c")))).status == Status.PASSED


def test_camvid_is_told_not_warned_of(shared_data, judged):
    index = load(shared_data / "camvid", ignore_index=11)
    (finding,) = judged("D36", index.select(np.arange(0, len(index), 10))).findings
    assert finding.level == Level.INFO
