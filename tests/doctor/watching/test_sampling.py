"""How often a training is looked at closely."""

import pytest

from snellen.doctor.watching.sampling import ALWAYS, LEAST_INTERVAL, MOST_INTERVAL, SampleSchedule


def samples(schedule: SampleSchedule, steps: int, *, step_s: float, spent_s: float) -> list[int]:
    """Return the first steps of the pairs that are looked at."""
    found, is_second = [], False
    for step in range(1, steps + 1):
        is_due = schedule.is_due(step)
        schedule.note(step, step_s=step_s, spent_s=spent_s if is_due or is_second else 0.0)
        is_second = is_due
        found += [step] if is_due else []
    return found


@pytest.mark.parametrize(("spent_s", "interval"), [
    (0.01, 67),  # two of them are 0.3 % of 67 steps of 0.1 s
    (1e-6, LEAST_INTERVAL),
    (10.0, MOST_INTERVAL),
])  # fmt: skip
def test_looking_takes_three_thousandths(spent_s, interval):
    schedule = SampleSchedule(1)
    found = samples(schedule, 2000, step_s=0.1, spent_s=spent_s)
    assert found[:ALWAYS] == [1, 2, 3, 4, 5]
    assert {later - former for former, later in zip(found[ALWAYS - 1 :], found[ALWAYS:], strict=False)} == {interval}
    assert schedule.interval == interval


@pytest.mark.parametrize(("planned", "interval"), [(2000, 67), (300, 20), (90, 10), (None, 67)])
def test_short_runs_are_looked_at_more_often_but_not_for_more_than_two_percent(planned, interval):
    schedule = SampleSchedule(1, planned=planned)
    samples(schedule, planned or 100, step_s=0.1, spent_s=0.01)
    assert schedule.interval == interval


def test_what_is_asked_for_is_done():
    assert samples(SampleSchedule(11, every=3), 20, step_s=0.1, spent_s=0.05) == [11, 14, 17, 20]
