"""T2 (DX-009, DX-015, DX-041, DX-048, DX-076)."""

import numpy as np
import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status


def guesses(step: int) -> tuple[int, ...]:
    return (8, 8, 8, 8)


def accuracies(*values: float) -> list[tuple[int, dict[str, float]]]:
    return [(100 * number, {"accuracy": value}) for number, value in enumerate(values, 1)]


def test_a_loss_that_stays_where_it_began(found, said):
    """SYS-337."""
    assert found("T2", made(flat())) == ["WARNING default"]
    assert said("T2", made(flat())) == "After 400 steps the loss is at 2.29, where it began (2.31)."


def test_a_loss_at_that_of_guessing(found):
    assert found("T2", made(flat(level=np.log(4)), named=guesses)) == ["WARNING chance"]
    thrown_up = np.concatenate([[1.5, 40.0, 90.0, 60.0, 9.0], flat(level=np.log(4))])
    assert found("T2", made(thrown_up, named=guesses)) == ["WARNING chance"]


def test_a_loss_that_stands_still_while_it_is_high(found):
    assert found("T2", made(falling(800, end=1.4, pace=20))) == ["INFO plateau"]
    assert found("T2", made(falling(800, end=1.4, pace=2))) == []


@pytest.mark.parametrize("loss", [
    falling(), falling(start=-1.0, end=-5.0), falling(end=0.5, noise=0.3), np.concatenate([flat(150), falling(450)]),
    falling(start=1.0, end=0.7, pace=3),
])  # fmt: skip
def test_losses_that_fall(found, loss):
    """Negative losses, noisy ones, long plateaus at the start and fine-tuning that has little to gain are fine."""
    assert found("T2", made(loss)) == []


def test_answers_better_than_chance_excuse_a_loss(found):
    """Heavy augmentation keeps the training loss up while the model learns."""
    assert found("T2", made(flat(level=1.37), named=guesses, validations=accuracies(0.5, 0.7, 0.8))) == ["INFO plateau"]
    assert found("T2", made(flat(level=1.37), named=guesses, validations=accuracies(0.25, 0.26, 0.25))) == [
        "WARNING chance"
    ]


@pytest.mark.parametrize("trace", [
    made(flat(25)),
    made(None, steps=300),
    made(flat(150), is_over=False),
    made(flat(150), is_over=False, planned=2000),
])  # fmt: skip
def test_too_early_or_unknown(judged, trace):
    assert judged("T2", trace).status == Status.NOT_CHECKABLE
