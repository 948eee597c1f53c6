"""Errors of values, beside scikit-learn's and SciPy's; values that nobody knows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_absolute_error, median_absolute_error, r2_score, root_mean_squared_error

from snellen.errors import InputError
from snellen.metrics import ValueMetric, spearman_correlation, unit_of, value_figures
from snellen.structures import ValueEstimates, ValueTarget


def measured(found, truth, known=None, names=("age [years]", "size [px]")):
    found, truth = np.asarray(found, np.float32), np.asarray(truth, np.float32)
    known = np.ones(truth.shape, np.bool_) if known is None else np.asarray(known, np.bool_)
    metric = ValueMetric(names)
    metric.update(
        [ValueEstimates(values=torch.from_numpy(row)) for row in found],
        [
            ValueTarget(values=torch.from_numpy(one), known=torch.from_numpy(other))
            for one, other in zip(truth, known, strict=True)
        ],
        range(len(found)),
    )
    return metric.result()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_figures_equal_scikit_learn_and_scipy(seed):
    generator = np.random.default_rng(seed)
    truth = generator.normal(5, 3, 40).round(1)
    found = truth + generator.normal(0.2, 1, 40).round(1)
    figures = value_figures(found, truth)
    assert figures.mae == pytest.approx(mean_absolute_error(truth, found))
    assert figures.rmse == pytest.approx(root_mean_squared_error(truth, found))
    assert figures.median_error == pytest.approx(median_absolute_error(truth, found))
    assert figures.r2 == pytest.approx(r2_score(truth, found))
    assert figures.spearman == pytest.approx(stats.spearmanr(truth, found).statistic)
    constant = np.full_like(truth, np.median(truth))
    assert figures.rae == pytest.approx(mean_absolute_error(truth, found) / mean_absolute_error(truth, constant))
    assert figures.bias == pytest.approx((found - truth).mean())


def test_a_constant_explains_nothing():
    figures = value_figures(np.full(4, 2.0), np.array([1.0, 2.0, 2.0, 3.0]))
    assert (figures.r2, figures.rae) == (0.0, 1.0)
    assert np.isnan(figures.spearman)
    assert np.isnan(value_figures(np.array([1.0, 2.0]), np.array([3.0, 3.0])).r2)
    assert np.isnan(spearman_correlation(np.ones(3), np.arange(3.0)))


@pytest.mark.parametrize(
    ("names", "headline", "has_mae"),
    [
        (("age [years]",), "MAE", True),
        (("x [px]", "y (px)"), "MAE", True),
        (("age [years]", "size [px]"), "RAE", False),
        (("x", "y"), "RAE", False),
    ],
)
def test_errors_of_different_units_have_no_mean(names, headline, has_mae):
    rows = np.arange(6.0).reshape(3, 2)[:, : len(names)]
    results = measured(rows + 1, rows, names=names)
    assert (results.headline, results.lower_is_better) == (headline, True)
    assert ("MAE" in results.scalars) == has_mae
    assert results.score == -results.scalars[headline]


def test_units_stand_in_brackets():
    assert [unit_of(name) for name in ("age [years]", "size (px)", "plain", "a [b] c")] == ["years", "px", "", ""]


def test_what_is_not_known_counts_for_nothing():
    truth = [[1.0, 5.0], [2.0, 0.0], [4.0, 7.0]]
    found = [[1.5, 5.0], [2.0, 900.0], [3.0, 8.0]]
    known = [[1, 1], [1, 0], [1, 1]]
    results = measured(found, truth, known)
    rows = {row[0]: row for row in results.tables[0].rows}
    assert rows["age [years]"][1:3] == (3, pytest.approx(0.5))
    assert rows["size [px]"][1:3] == (2, pytest.approx(0.5))
    assert results.per_image[1].quality == 1.0  # its only known value is right
    assert np.isnan(results.per_image[0].uncertainty)
    assert np.isnan(measured([[1.0, 1.0]], [[0.0, 0.0]], [[0, 0]]).per_image[0].quality)


def test_charts_show_estimates_and_residuals():
    truth = np.linspace(0, 10, 60)[:, None]
    results = measured(truth + 0.5, truth, names=("size [px]",))
    parity, residual, histogram = results.curves
    assert parity.series[0].is_dots
    assert not parity.series[1].is_dots
    assert parity.series[1].x == parity.series[1].y
    assert np.allclose(residual.series[0].y, 0.5, atol=1e-5)
    heights = histogram.series[0].y
    assert (heights[0], heights[-1], sum(heights[1:-1:2])) == (0, 0, 60)  # up and down at each bin


def test_shards_and_mistakes():
    whole = measured([[1, 2], [3, 4]], [[1, 1], [1, 1]])
    metric, other = ValueMetric(["age [years]", "size [px]"]), ValueMetric(["age [years]", "size [px]"])
    for part, row in ((metric, 0), (other, 1)):
        values = torch.tensor([[1.0, 2.0], [3.0, 4.0]][row])
        target = ValueTarget(values=torch.ones(2), known=torch.ones(2, dtype=torch.bool))
        part.update([ValueEstimates(values=values)], [target], [row])
    metric.merge(other)
    assert metric.result().scalars == pytest.approx(whole.scalars, nan_ok=True)
    with pytest.raises(InputError, match="came twice"):
        metric.merge(other)
    with pytest.raises(InputError, match="2 numbers"):
        measured([[1.0]], [[1.0, 2.0]])
    with pytest.raises(InputError, match="diverged"):
        measured([[float("nan"), 0.0]], [[1.0, 2.0]])


def test_nothing_seen():
    results = ValueMetric(["a"]).result()
    assert all(np.isnan(value) for value in results.scalars.values())
