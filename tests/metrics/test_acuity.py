import math

import numpy as np

from snellen.metrics import acuity


def test_the_smallest_line_still_read():
    heights = np.repeat([4.0, 8.0, 16.0, 32.0, 64.0], 20)
    recognised = np.concatenate([np.arange(20) < count for count in (2, 9, 10, 19, 20)])
    result = acuity(heights, recognised)
    assert result.height_px == 16
    assert [row[3] for row in result.table.rows] == [0.1, 0.45, 0.5, 0.95, 1.0]


def test_a_lucky_small_bin_behind_a_failed_one_does_not_count():
    heights = np.repeat([4.0, 8.0, 16.0], 20)
    recognised = np.concatenate([np.arange(20) < count for count in (12, 3, 20)])
    assert acuity(heights, recognised).height_px == 16


def test_failing_on_the_largest_does_not_hide_the_rest():
    heights = np.repeat([8.0, 16.0, 512.0], 20)
    recognised = np.concatenate([np.arange(20) < count for count in (15, 20, 1)])
    assert acuity(heights, recognised).height_px == 8


def test_small_bins_are_joined_and_the_order_does_not_matter():
    generator = np.random.default_rng(0)
    heights = np.exp(generator.uniform(1, 6, 57))
    recognised = heights > 30
    result = acuity(heights, recognised)
    assert sum(row[1] for row in result.table.rows) == 57
    assert min(row[1] for row in result.table.rows) >= 10
    order = generator.permutation(57)
    assert acuity(heights[order], recognised[order]) == result


def test_nothing_read_or_nothing_there():
    assert math.isnan(acuity(np.full(30, 9.0), np.zeros(30, bool)).height_px)
    nothing = acuity(np.array([np.nan, 0.0, np.inf]), np.ones(3, bool))
    assert math.isnan(nothing.height_px)
    assert nothing.table.rows == ()
    assert "smallest bin passes" in acuity(np.full(30, 9.0), np.ones(30, bool)).table.note
