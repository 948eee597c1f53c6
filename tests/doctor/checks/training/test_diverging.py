"""T3 (DX-039, DX-060, DX-061)."""

import numpy as np
import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status


def test_what_had_been_gained_is_lost(found, said, judged):
    loss = np.concatenate([falling(300), np.linspace(0.3, 2.0, 200)])
    assert found("T3", made(loss)) == ["WARNING default"]
    assert said("T3", made(loss)).startswith("The loss is back at 1.79: 65 % of what had been gained")
    assert judged("T3", made(loss)).findings[0].treatment.settings == {"lr": 0.01}


def test_one_step_that_throws_the_loss_up_is_named(found, said):
    """DX-061, SYS-328: a cliff."""
    loss = np.concatenate([falling(300), flat(200, level=2.0)])
    assert found("T3", made(loss)) == ["WARNING jump"]
    assert said("T3", made(loss)).startswith("Step 301 threw the loss up for good;")


def test_a_part_is_lost(found):
    assert found("T3", made(np.concatenate([falling(300), np.linspace(0.2, 1.0, 200)]))) == ["INFO default"]


def test_thrown_up_in_the_first_steps(found):
    loss = np.concatenate([[2.3, 60.0, 900.0, 400.0, 80.0, 20.0], flat(394)])
    assert found("T3", made(loss)) == ["WARNING thrown"]
    loss = np.concatenate([[2.3, 60.0, 900.0, 400.0, 80.0, 20.0], falling(394)])
    assert found("T3", made(loss)) == ["INFO thrown"]


@pytest.mark.parametrize("loss", [
    falling(),
    falling(noise=0.3),
    flat(),
    falling(start=-1, end=-4),
    0.1 * np.sin(np.arange(600) / 20) + falling(600, noise=0.01),
    falling(noise=0.0) + 5.0 * (np.arange(400) == 200),
])  # fmt: skip
def test_losses_that_do_not_diverge(found, loss):
    """Noise, waves of cyclic rates, losses below zero and a single spike are no divergence."""
    assert found("T3", made(loss)) == []


def test_few_steps(judged):
    assert judged("T3", made(flat(20))).status == Status.NOT_CHECKABLE
