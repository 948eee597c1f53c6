"""Splits with intervals, and two runs on the same images, against scipy's permutation test."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.doctor.results import boxes, run_of, sure

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.results import scores
from snellen.doctor.evidence.results.evaluated import OtherRun, RunFiles
from snellen.doctor.evidence.results.scores import scores_of_splits, two_runs
from snellen.structures import ClassScores, Detections


def answered(right, *, name="one"):
    pairs = [sure(place % 2, place % 2 if ok else 1 - place % 2) for place, ok in enumerate(right)]
    return run_of(ClassScores, {"test": pairs}, name=name)


@pytest.fixture
def compared(monkeypatch):
    """Compare two runs in memory, as if they lay on disk."""

    def compare(run, rival):
        files = RunFiles(folder=None, index=rival.index, kind=rival.kind, results={})
        monkeypatch.setattr(scores, "evaluated_run", lambda given: rival)
        return two_runs(run, OtherRun(files=files))

    return compare


def test_interval_of_an_accuracy_is_about_binomial():
    rng = np.random.default_rng(0)
    right = rng.random(300) < 0.8
    found = scores_of_splits(answered(right)).interval("test")
    low, high = stats.binom.ppf([0.025, 0.975], 300, right.mean()) / 300
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.015)


def test_gap_between_splits():
    rng = np.random.default_rng(0)
    shares = {"train": 0.95, "val": 0.7}
    splits = {name: [sure(0, int(rng.random() > share)) for _ in range(200)] for name, share in shares.items()}
    gap = scores_of_splits(run_of(ClassScores, splits)).gap("train", "val")
    assert 0.15 < gap.low < gap.mean < gap.high < 0.4


def test_equals_a_permutation_test_of_scipy(compared):
    rng = np.random.default_rng(0)
    first = rng.random(120) < 0.8
    second = np.where(rng.random(120) < 0.2, ~first, first)
    found = compared(answered(first), answered(second, name="two"))
    expected = stats.permutation_test(
        (first.astype(float), second.astype(float)),
        lambda one, other, axis: (one - other).mean(axis=axis),
        permutation_type="samples",
        n_resamples=5000,
        vectorized=True,
        rng=np.random.default_rng(1),
    )
    assert found.difference.mean == pytest.approx(first.mean() - second.mean())
    assert found.difference.p_value == pytest.approx(expected.pvalue, abs=0.04)
    assert found.difference.low < found.difference.mean < found.difference.high


def test_equal_runs_are_not_told_apart(compared):
    """Two runs with errors of their own at the same rate: p below 0.05 in about a twentieth of 100."""
    below = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = compared(answered(rng.random(80) < 0.8), answered(rng.random(80) < 0.8))
        below += found.difference.p_value < 0.05
    assert below <= 10


def test_a_run_is_no_better_than_itself(compared):
    right = np.random.default_rng(0).random(50) < 0.8
    found = compared(answered(right), answered(right))
    assert (found.difference.mean, found.difference.p_value) == (0, 1)


def test_boxes_are_compared_by_average_precision(compared):
    box, near = (10, 10, 30, 30), (10, 10, 30, 70)
    good = run_of(Detections, {"test": [boxes([(box, 0.9, 0)], [(box, 0)]) for _ in range(40)]})
    bad = run_of(
        Detections, {"test": [boxes([(box if place % 2 else near, 0.9, 0)], [(box, 0)]) for place in range(40)]}
    )
    found = compared(good, bad)
    assert found.first == pytest.approx(1)
    assert found.second < 0.6
    assert found.difference.p_value == pytest.approx(1 / 1001)


def test_runs_that_predict_different_things_are_refused(compared):
    run = answered([True] * 9)
    with pytest.raises(NotCheckable, match="different things"):
        compared(run, replace(run, kind=Detections))
    with pytest.raises(NotCheckable, match="has no predictions of test"):
        compared(run, replace(run, splits={}))
