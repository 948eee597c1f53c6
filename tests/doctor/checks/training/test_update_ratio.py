"""T10 (DX-039, DX-040, DX-072)."""

import numpy as np
import pytest
from tests.doctor.checks.training.traces import SIZE, falling, flat, made

from snellen.doctor import Status

FAIR = falling(end=1.5)


@pytest.mark.parametrize(("loss", "ratio", "expected"), [
    (flat(), 0.5, ["WARNING high"]),
    (flat(), 0.15, ["WARNING high"]),
    (FAIR, 0.5, ["INFO high"]),
    (FAIR, 0.15, []),
    (flat(), 1e-3, []),
    (flat(), 1e-6, ["WARNING low"]),
    (FAIR, 1e-5, ["INFO low"]),
    (FAIR, 1e-3, []),
    (falling(), 1e-5, []),  # fine-tuning with a tiny rate: it works
])  # fmt: skip
def test_speeds(found, loss, ratio, expected):
    assert found("T10", made(loss, update=lambda _: ratio * SIZE)) == expected


def test_rates_as_treatment(judged, said):
    high, low = (made(flat(), update=lambda _, ratio=ratio: ratio * SIZE) for ratio in (0.5, 1e-6))
    assert said("T10", high) == "A step changes the weights by 50 % of their size: the rate is too high."
    assert (
        said("T10", low)
        == "In 400 steps the weights moved by at most 0.04 % of their size in all: the rate is too low."
    )
    assert judged("T10", high).findings[0].treatment.settings == {"lr": 0.01}
    assert judged("T10", low).findings[0].treatment.settings == {"lr": 1.0}


def test_a_usual_rate_is_not_to_blame(found, said):
    weak = made(flat(), gradient=lambda step: 1e-4 + 1e-6 * step, update=lambda step: 0.1 * (1e-4 + 1e-6 * step))
    assert found("T10", weak) == ["WARNING weak"]
    assert "though the rate is usual: the gradient is next to nothing" in said("T10", weak)


def test_gradients_that_are_cut_are_left_to_t6(found):
    cut = made(flat(), gradient=lambda _: 1e-4, update=lambda _: 1e-5)
    assert found("T10", cut) == []
    assert found("T6", cut) == ["WARNING clipped"]


def test_three_in_a_row_or_one_that_is_enough(found):
    assert found("T10", made(flat(), update=lambda step: (0.5 if step in (1, 2) else 0.001) * SIZE)) == []
    assert found("T10", made(flat(), update=lambda step: (3.0 if step == 1 else 0.001) * SIZE)) == ["WARNING high"]


def test_layers_of_different_speeds(found, said):
    """SYS-330."""
    trace = made(FAIR, update=lambda _: np.array([1e-6, 1e-3, 1e-2, 1e-2]) * SIZE)
    assert found("T10", trace) == ["INFO uneven"]
    assert said("T10", trace).startswith("4.weight moves 1e+04 times as fast")


def test_without_changes(judged):
    assert judged("T10", made(flat(), update=lambda _: 0.0)).status == Status.NOT_CHECKABLE
