"""T20 (DX-064, DX-072)."""

import numpy as np
import pytest
from tests.doctor.checks.training.traces import SIZE, falling, flat, made

from snellen.doctor import Status

FIRST = np.array([0.0, 1.0, 1.0, 1.0])
MISSING = np.array([np.nan, 1.0, 1.0, 1.0])


@pytest.mark.parametrize(("loss", "options", "expected"), [
    (flat(), {"weight": lambda step: SIZE + step}, []),
    (flat(), {"update": lambda _: 0.01 * FIRST}, ["WARNING lost"]),
    (falling(), {"update": lambda _: 0.01 * FIRST}, ["WARNING lost"]),
    (falling(), {"weight": lambda step: SIZE + step * FIRST}, ["WARNING undone"]),  # the first stays, to the last bit
    (flat(), {"gradient": lambda _: FIRST}, ["WARNING no_effect"]),
    (falling(), {"gradient": lambda _: FIRST}, ["INFO no_effect"]),
    (flat(), {"gradient": lambda _: FIRST, "dead": [0.0, 1.0, 0.0, 0.0]}, []),  # T8 says why
    (falling(), {"gradient": lambda _: MISSING, "update": lambda _: 0.01 * FIRST}, ["INFO no_gradient"]),  # frozen
    (flat(), {"weight": lambda _: SIZE * FIRST, "gradient": lambda _: FIRST, "update": lambda _: 0.01 * FIRST},
     ["WARNING zeros"]),
    (falling(), {"weight": lambda step: SIZE * FIRST ** (step == 1) + 0.01 * step * FIRST}, []),  # zero at first
    (flat(), {"rate": lambda _: 0.0, "update": lambda _: 0.0}, ["INFO rate_zero"]),
])  # fmt: skip
def test_weights(found, loss, options, expected):
    assert found("T20", made(loss, **options)) == expected


def test_weights_are_named(said, judged):
    trace = made(flat(), update=lambda _: 0.01 * FIRST)
    assert said("T20", trace) == "1 of 4 weights have a gradient and a rate and do not change (0.weight and others)."
    assert [place.name for place in judged("T20", trace).findings[0].places] == ["0.weight"]


def test_without_samples(judged):
    assert judged("T20", made(flat(), update=lambda _: np.nan)).status == Status.NOT_CHECKABLE
