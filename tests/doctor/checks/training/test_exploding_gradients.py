"""T6 (DX-060, DX-061; DeepCrime's OCG)."""

import numpy as np
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status

RISING = np.concatenate([falling(200), flat(200, level=4.0)])


def test_gradients_that_grow_while_the_loss_rises(found, said, judged):
    """SYS-327."""
    trace = made(RISING, gradient=lambda step: 1.0 if step < 200 else [1.0, 300.0, 1.0, 1.0])
    assert found("T6", trace) == ["WARNING default"]
    assert said("T6", trace).startswith("From step 200 on gradients are 150 times as long as before")
    assert judged("T6", trace).findings[0].places[0].name == "2.weight"
    assert judged("T6", trace).findings[0].treatment.settings == {"clip_norm": 1.0}


def test_larger_gradients_of_a_falling_loss_are_fine(found):
    """A head that begins at zero has small gradients at first."""
    assert found("T6", made(falling(), gradient=lambda step: 0.001 if step < 50 else 1.0 + 0.1 * np.sin(step))) == []


def test_one_large_gradient_is_fine(found):
    gradient = lambda step: 100.0 if step == 200 else 1.0 + 0.1 * np.sin(step)  # noqa: E731
    assert found("T6", made(RISING, gradient=gradient)) == []


def test_gradients_that_are_always_cut(found, said):
    """DeepCrime's change_gradient_clip."""
    assert found("T6", made(flat(), gradient=lambda _: 0.005)) == ["WARNING clipped"]
    assert said("T6", made(flat(), gradient=lambda _: 0.005)) == (
        "100 % of the gradients are exactly 0.01 long: they are clipped in most steps."
    )
    assert found("T6", made(falling(), gradient=lambda _: 0.005)) == []


def test_without_gradients(judged):
    assert judged("T6", made(flat(), gradient=lambda _: np.nan)).status == Status.NOT_CHECKABLE
