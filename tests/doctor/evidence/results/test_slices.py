"""Parts of images and objects: tests of them, and their correction."""

import numpy as np
import pytest
from scipy import stats

from snellen.doctor.evidence.results.slices import Outcomes, cut, holm_adjusted, slices_of


def outcomes(values, images=None, **attributes):
    values = np.asarray(values, float)
    return Outcomes(
        of_objects=True,
        images=np.arange(len(values)) if images is None else np.asarray(images),
        values=values,
        attributes={name: np.asarray(row, float) for name, row in attributes.items()},
        boxes=np.zeros((len(values), 4)),
    )


def test_holm_by_hand():
    """Example of Holm 1979: the least p-value times the number of tests, the next times one less, never falling."""
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_adjusted([]) == []
    assert holm_adjusted([0.9, 0.8]) == [1.0, 1.0]


def test_one_object_of_each_image_is_welchs_test():
    rng = np.random.default_rng(0)
    values = rng.normal(0.5, 0.2, 400) + 0.1 * (np.arange(400) < 150)
    row = cut(outcomes(values), np.arange(150), np.arange(150, 400), attribute="x", is_low=True, border=0)
    expected = stats.ttest_ind(values[:150], values[150:], equal_var=False)
    assert row.difference.mean == pytest.approx(values[:150].mean() - values[150:].mean())
    error = row.difference.mean / expected.statistic
    assert row.difference.p_value == pytest.approx(2 * stats.t.sf(abs(expected.statistic), 149))
    low, high = expected.confidence_interval()
    assert row.difference.high - row.difference.mean == pytest.approx(stats.t.ppf(0.975, 149) * abs(error))
    assert (row.difference.low, row.difference.high) == pytest.approx((low, high), rel=0.02)


def test_objects_of_one_image_are_not_independent():
    """Each image's ten objects come out alike: taken for independent, a quarter of null differences is 'clear'."""
    clear, naive = 0, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        images = np.repeat(np.arange(60), 10)
        values = np.repeat(rng.random(60) < 0.6, 10).astype(float)
        row = cut(outcomes(values, images), np.arange(200), np.arange(200, 600), attribute="x", is_low=True, border=0)
        clear += row.difference.p_value < 0.05
        naive += stats.ttest_ind(values[:200], values[200:], equal_var=False).pvalue < 0.05
    assert clear / 200 < 0.1
    assert naive / 200 > 0.25


def test_thirds_and_their_borders():
    values = np.concatenate([np.zeros(30), np.ones(60)])
    found = slices_of(outcomes(values, size=np.arange(90)))
    worst = found.rows[0]
    assert (worst.attribute, worst.is_low, worst.mean, worst.rest) == ("size", True, 0.0, 1.0)
    assert worst.members.tolist() == list(range(30))
    assert worst.border == pytest.approx(89 / 3)


def test_where_most_are_alike_the_others_are_a_slice():
    values, crowding = np.ones(100), np.zeros(100)
    values[70:], crowding[70:] = 0, 0.4
    rows = {row.is_low: row for row in slices_of(outcomes(values, crowding=crowding)).rows}
    assert rows[False].members.tolist() == list(range(70, 100))
    assert rows[False].border == pytest.approx(0.4)


def test_what_is_not_known_is_left_out():
    size = np.where(np.arange(90) < 60, np.nan, np.arange(90))
    assert slices_of(outcomes(np.ones(90), size=size, constant=np.ones(90))).rows == ()


def test_chance_is_hardly_ever_clear_among_many_attributes():
    """Ten attributes that mean nothing, 100 runs: the share with any corrected p-value below 0.05."""
    found = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        attributes = {str(name): rng.random(200) for name in range(10)}
        rows = slices_of(outcomes(rng.random(200) < 0.8, **attributes)).rows
        found += min(row.difference.p_value for row in rows) < 0.05
    assert found <= 9
