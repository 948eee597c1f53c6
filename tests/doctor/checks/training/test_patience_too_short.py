"""T19 (DeepCrime's RCP)."""

import pytest
from tests.doctor.checks.training.traces import falling, made

from snellen.doctor import Status

RISING = [0.2, 0.3, 0.42, 0.5, 0.61, 0.69, 0.8, 0.79]
RESTING = [0.2, 0.5, 0.7, 0.75, 0.76, 0.75, 0.76, 0.75]


def told(values, name="accuracy"):
    return [(25 * (place + 1), {name: value}) for place, value in enumerate(values)]


def test_stopped_while_it_was_rising(found, said, judged):
    trace = made(falling(200), validations=told(RISING), planned=1000)
    assert found("T19", trace) == ["WARNING default"]
    assert said("T19", trace).startswith("Stopped at step 200 of 1000 while accuracy was getting better,")
    assert judged("T19", trace).findings[0].treatment.settings == {"patience": 10}


def test_losses_get_better_downwards(found):
    assert found("T19", made(falling(200), validations=told(RISING, "loss"), planned=1000)) == []
    assert found("T19", made(falling(200), validations=told(RISING[::-1], "loss"), planned=1000)) == ["WARNING default"]


@pytest.mark.parametrize(("values", "planned"), [(RESTING, 1000), (RISING, 200), (RISING, 205)])
def test_stopped_at_rest_or_by_the_plan(found, values, planned):
    assert found("T19", made(falling(200), validations=told(values), planned=planned)) == []


@pytest.mark.parametrize("trace", [
    made(falling(200), validations=told(RISING)),
    made(falling(200), validations=told(RISING), planned=1000, is_over=False),
    made(falling(200), validations=told(RISING[:2]), planned=1000),
])  # fmt: skip
def test_not_known(judged, trace):
    assert judged("T19", trace).status == Status.NOT_CHECKABLE
