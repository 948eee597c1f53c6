"""T4 (DX-039, DX-042): rate and batch are told apart."""

import numpy as np
import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status


def test_a_rate_too_high(found, said, judged):
    """SYS-187, SYS-337."""
    loss = np.abs(flat(1000, level=2.0, noise=0.5))
    trace = made(loss, agreement=lambda step: -0.5 + 0.1 * np.sin(step))
    assert found("T4", trace) == ["WARNING rate"]
    assert "gradients in a row have a cosine of -0.50" in said("T4", trace)
    assert judged("T4", trace).findings[0].treatment.settings == {"lr": 0.01}


def test_a_batch_too_small(found, said, judged):
    loss = np.abs(flat(1000, level=2.0, noise=0.5))
    trace = made(loss, agreement=lambda step: 0.02 * np.sin(step), images=lambda _: 2)
    assert found("T4", trace) == ["WARNING batch"]
    assert "gradients of 2 images have nothing in common" in said("T4", trace)
    assert judged("T4", trace).findings[0].treatment.settings == {"accumulate": 4}
    assert found("T4", made(loss, agreement=lambda step: 0.02 * np.sin(step), images=lambda _: 64)) == ["INFO batch"]


@pytest.mark.parametrize(("loss", "agreement"), [
    (falling(), -0.3),  # it gets on all the same
    (falling(noise=0.2, pace=3), 0.0),
    (flat(noise=0.01), 0.0),  # no scatter
    (np.abs(flat(1000, level=2.0, noise=0.5)), 0.4),  # gradients agree: neither of the two
])  # fmt: skip
def test_other_curves(found, loss, agreement):
    assert found("T4", made(loss, agreement=lambda step: agreement + 0.01 * np.sin(step))) == []


def test_without_pairs_of_gradients(judged):
    assert judged("T4", made(flat(), agreement=lambda _: float("nan"))).status == Status.NOT_CHECKABLE
