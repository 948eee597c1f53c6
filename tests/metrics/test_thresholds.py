"""Points on curves of precision over recall against scikit-learn's curve, looked through by brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_curve, precision_score, recall_score

from snellen.metrics import point_at_precision, point_at_recall, point_of_best_f1


def drawn(seed, ties):
    rng = np.random.default_rng(seed)
    hits = rng.random(60) < 0.25
    hits[0] = True
    scores = np.clip(rng.normal(0.35 + 0.2 * hits, 0.2), 0.001, 0.999)
    return (scores.round(1) if ties else scores), hits


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_they_are_the_best_of_all_thresholds(seed, ties):
    scores, hits = drawn(seed, ties)
    precision, recall, _ = precision_recall_curve(hits, scores, drop_intermediate=False)
    precision, recall = precision[:-1], recall[:-1]  # scikit-learn's last point names nothing
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = point_of_best_f1(scores, hits)
    assert best.f1 == pytest.approx(f1.max())
    wanted = point_at_recall(scores, hits, 0.8)
    assert wanted.recall >= 0.8
    assert wanted.precision == pytest.approx(precision[recall >= 0.8 - 1e-9].max())
    sure = point_at_precision(scores, hits, 0.6)
    if (precision >= 0.6 - 1e-9).any():
        assert sure.precision >= 0.6
        assert sure.recall == pytest.approx(recall[precision >= 0.6 - 1e-9].max())
    else:
        assert sure is None
    for point in (best, wanted, sure):
        if point is not None:
            named = scores >= point.threshold
            assert point.precision == pytest.approx(precision_score(hits, named))
            assert point.recall == pytest.approx(recall_score(hits, named))
            assert point.f1 == pytest.approx(f1_score(hits, named))
            near = np.isclose(scores, point.threshold, rtol=0, atol=1e-9)
            assert point.threshold == 0 or not near.any()  # no rounding error decides


def test_nothing_to_find_and_certain_answers():
    assert point_of_best_f1(np.array([0.2, 0.8]), np.zeros(2, np.bool_)) is None
    certain = point_of_best_f1(np.array([1.0, 0.0]), np.array([True, False]))
    assert 0 < certain.threshold < 1
    assert certain.f1 == 1
    everything = point_at_recall(np.array([0.0, 0.9]), np.array([True, True]), 1.0)
    assert everything.threshold == 0  # what has a probability of exactly 0 is named, too
