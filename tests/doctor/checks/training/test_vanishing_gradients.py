"""T7 (DX-059, DX-065, DX-070)."""

import numpy as np
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status

FADING = np.logspace(-8, -1, 8)


def test_gradients_that_fade_towards_the_input(found, said, judged):
    """SYS-326."""
    trace = made(flat(), layers=8, gradient=lambda _: FADING)
    assert found("T7", trace) == ["WARNING default"]
    assert said("T7", trace) == (
        "Gradients are 1.0e+06 times as small, beside the weights, at 0.weight as at 14.weight, and the loss does not "
        "get on."
    )
    assert judged("T7", trace).findings[0].places[0].name == "0.weight"


def test_gated_by_the_outcome(found):
    fair = falling(start=2.3, end=1.5)
    assert found("T7", made(falling(), layers=8, gradient=lambda _: FADING)) == []
    assert found("T7", made(fair, layers=8, gradient=lambda _: FADING)) == ["WARNING default"]
    assert found("T7", made(fair, layers=8, gradient=lambda _: FADING**0.6)) == ["INFO default"]


def test_gradients_alike(found):
    assert found("T7", made(flat(), layers=8, gradient=lambda _: np.linspace(0.1, 1, 8))) == []


def test_shallow_networks_have_no_depth_to_fade_in(judged):
    assert judged("T7", made(flat(), layers=3)).status == Status.NOT_CHECKABLE
