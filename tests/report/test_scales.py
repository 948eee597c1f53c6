import math

from hypothesis import given
from hypothesis import strategies as st

from snellen.report.scales import finite_range, linear_scale, log_scale, nice_step

RANGES = st.tuples(st.floats(-1e6, 1e6, allow_subnormal=False), st.floats(1e-6, 1e6, allow_subnormal=False))


@given(RANGES)
def test_linear_ticks_are_few_round_and_cover_the_range(ends):
    low, high = ends[0], ends[0] + ends[1]
    scale = linear_scale(low, high)
    assert scale.low <= low + 1e-8 * (high - low)
    assert scale.high >= high - 1e-8 * (high - low)
    assert 2 <= len(scale.ticks) <= 9
    steps = [b - a for a, b in zip(scale.ticks, scale.ticks[1:], strict=False)]
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-6)
    assert any(math.isclose(mantissa, nice, rel_tol=1e-2) for nice in (1, 2, 2.5, 5, 10))
    assert -1e-8 <= scale.place(low) <= scale.place(high) <= 1 + 1e-8


def test_labels_have_just_the_decimals_that_they_need():
    assert linear_scale(0, 1).labels == ("0", "0.2", "0.4", "0.6", "0.8", "1.0")
    assert linear_scale(0, 0.01).labels == ("0", "0.002", "0.004", "0.006", "0.008", "0.010")
    assert linear_scale(0, 50_000).labels == ("0", "10k", "20k", "30k", "40k", "50k")
    assert linear_scale(1_000_000, 1_200_000).labels == ("1M", "1.05M", "1.1M", "1.15M", "1.2M")
    assert len(set(linear_scale(0, 1e-15).labels)) == 6
    assert linear_scale(0, 1e-7).labels[-1] == "1e-7"


def test_snug_axis_ends_where_the_values_end():
    scale = linear_scale(3, 97, is_snug=True)
    assert (scale.low, scale.high) == (3, 97)
    assert scale.ticks == (20, 40, 60, 80)


def test_log_axis():
    scale = log_scale(0.02, 300)
    assert scale.labels == ("0.01", "0.1", "1", "10", "100", "1000")
    assert math.isclose(scale.place(0.01), 0)
    assert math.isclose(scale.place(1000), 1)
    assert math.isclose(scale.place(10), 0.6)
    assert len(log_scale(5, 5).ticks) >= 2


def test_nice_step_and_finite_range():
    assert [nice_step(span, 5) for span in (10, 11, 12, 20, 40)] == [2, 2.5, 2.5, 5, 10]
    assert finite_range([math.nan, 3, math.inf, -1]) == (-1, 3)
    assert finite_range([math.nan]) is None
