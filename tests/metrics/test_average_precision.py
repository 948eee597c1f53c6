import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from snellen.metrics import (
    average_precision_11_point,
    average_precision_area,
    average_precision_step,
    ranked_curve,
    receiver_curve,
)

ranked = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=40)


def split(pairs):
    return np.array([pair[0] / 8 for pair in pairs]), np.array([pair[1] for pair in pairs])


@settings(deadline=None)
@given(ranked)
def test_curves_equal_scikit_learn(pairs):
    """SYS-160, SYS-161, SYS-162."""
    scores, hits = split(pairs)
    if not 0 < hits.sum() < len(hits):
        return
    wanted = int(hits.sum())
    precision, recall, thresholds = precision_recall_curve(hits, scores)
    curve = ranked_curve(scores, hits, num_wanted=wanted)
    np.testing.assert_allclose(curve.thresholds[::-1], thresholds)
    np.testing.assert_allclose(curve.precision[::-1], precision[:-1])
    np.testing.assert_allclose(curve.recall[::-1], recall[:-1])
    assert average_precision_step(scores, hits, num_wanted=wanted) == pytest.approx(
        average_precision_score(hits, scores)
    )
    false_rate, true_rate, area = receiver_curve(scores, hits)
    expected = roc_curve(hits, scores, drop_intermediate=False)
    np.testing.assert_allclose(false_rate, expected[0])
    np.testing.assert_allclose(true_rate, expected[1])
    assert area == pytest.approx(roc_auc_score(hits, scores))
    assert area == pytest.approx(auc(false_rate, true_rate))


def by_the_book(scores, hits, wanted):
    """The devkit's loops, point by point."""
    order = sorted(range(len(scores)), key=lambda row: -scores[row])
    points, found = [], 0
    for rank, row in enumerate(order, start=1):
        found += bool(hits[row])
        points.append((found / wanted, found / rank))
    eleven = sum(max([p for r, p in points if r >= least], default=0.0) for least in np.arange(0.0, 1.1, 0.1)) / 11
    area, last = 0.0, 0.0
    for recall, _ in points:
        area += (recall - last) * max(p for r, p in points if r >= recall)
        last = recall
    return eleven, area


@settings(deadline=None)
@given(ranked, st.integers(0, 5))
def test_voc_rules_equal_the_loops(pairs, extra):
    """SYS-162: of eleven points, and of the whole area."""
    scores, hits = split(pairs)
    wanted = int(hits.sum()) + extra
    if wanted == 0:
        assert np.isnan(average_precision_area(scores, hits, num_wanted=0))
        assert np.isnan(average_precision_11_point(scores, hits, num_wanted=0))
        return
    eleven, area = by_the_book(scores, hits, wanted)
    assert average_precision_11_point(scores, hits, num_wanted=wanted) == pytest.approx(eleven)
    assert average_precision_area(scores, hits, num_wanted=wanted) == pytest.approx(area)


def test_empty_lists():
    nothing, no_hits = np.zeros(0), np.zeros(0, bool)
    assert average_precision_area(nothing, no_hits, num_wanted=3) == 0
    assert average_precision_11_point(nothing, no_hits, num_wanted=3) == 0
    assert average_precision_step(nothing, no_hits, num_wanted=3) == 0
    assert len(ranked_curve(nothing, no_hits, num_wanted=3).recall) == 0
    assert np.isnan(receiver_curve(nothing, no_hits)[2])
