"""Intervals of differences, beside scipy's."""

import numpy as np
import pytest
from scipy import stats

from snellen.errors import InputError
from snellen.metrics.paired import mean_interval, paired_interval, resampled_interval


@pytest.mark.parametrize("count", [2, 3, 5, 12])
def test_paired_interval_is_that_of_the_t_test(count):
    draw = np.random.default_rng(count)
    control = draw.normal(0.7, 0.05, count)
    treated = control + draw.normal(0.02, 0.01, count)
    found = paired_interval(treated.tolist(), control.tolist())
    test = stats.ttest_rel(treated, control)
    ends = test.confidence_interval(0.95)
    assert found.mean == pytest.approx((treated - control).mean())
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    assert found.p_value == pytest.approx(test.pvalue)
    assert found.count == count


def test_pairs_take_out_what_seeds_have_in_common():
    control, treated = [0.2, 0.5, 0.8], [0.22, 0.52, 0.821]
    assert paired_interval(treated, control).is_above_zero
    apart = stats.ttest_ind(treated, control).confidence_interval(0.95)
    assert apart.low < 0


def test_one_value_has_no_interval_and_no_value_no_mean():
    one = mean_interval([0.5])
    assert one.mean == 0.5
    assert np.isnan(one.low)
    assert not one.is_above_zero
    assert np.isnan(mean_interval([]).mean)
    assert mean_interval([0.5, float("nan")]).count == 1


def test_equal_differences_are_certain():
    found = paired_interval([0.5, 0.75], [0.25, 0.5])
    assert (found.low, found.high, found.p_value) == (0.25, 0.25, 0.0)
    assert paired_interval([0.5, 0.75], [0.5, 0.75]).p_value == 1.0


def test_pairs_must_be_pairs():
    with pytest.raises(InputError, match="as many of each"):
        paired_interval([0.1], [0.1, 0.2])


def test_resampled_interval_is_the_bootstrap_over_images():
    differences = np.random.default_rng(0).normal(0.1, 0.5, (3, 200))
    found = resampled_interval(differences, resamples=4000)
    other = stats.bootstrap(
        (differences.mean(0),), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.mean == pytest.approx(differences.mean())
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=0.004)
    assert found.count == 200


def test_resampled_interval_covers_as_often_as_it_says():
    draw = np.random.default_rng(3)
    hits = [
        found.low <= 0 <= found.high
        for seed in range(200)
        for found in [resampled_interval(draw.normal(0, 1, (1, 60)), resamples=300, seed=seed)]
    ]
    assert 0.88 <= np.mean(hits) <= 0.99


def test_no_images_are_refused():
    with pytest.raises(InputError, match="at least one"):
        resampled_interval(np.zeros((2, 0)))
