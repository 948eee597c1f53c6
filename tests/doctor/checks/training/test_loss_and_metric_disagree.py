"""T13 (DX-044)."""

import numpy as np
from tests.doctor.checks.training.traces import falling, made

from snellen.doctor import Status


def told(loss, accuracy):
    return [
        (10 * (place + 1), {"loss": float(one), "accuracy": float(other)})
        for place, (one, other) in enumerate(zip(loss, accuracy, strict=True))
    ]


DOWN = np.linspace(2.0, 0.5, 24)


def test_they_fall_together(found, said):
    trace = made(falling(), validations=told(DOWN[::3], np.linspace(0.6, 0.1, 8)))
    assert found("T13", trace) == ["WARNING against"]
    assert said("T13", trace) == "loss and accuracy fall together over 8 validations (rank correlation 1.00)."


def test_the_score_does_not_follow(found):
    scatter = 0.5 + 0.05 * np.random.default_rng(0).standard_normal(24)
    assert found("T13", made(falling(), validations=told(DOWN, scatter))) == ["INFO apart"]


def test_they_go_together(found):
    assert found("T13", made(falling(), validations=told(DOWN, 1 - DOWN / 3))) == []


def test_a_loss_that_rises_is_not_told_here(found):
    """A classifier that becomes too sure: T12 tells it."""
    assert found("T13", made(falling(), validations=told(DOWN[::-1], 1 - DOWN / 3))) == []


def test_few_validations(judged):
    assert judged("T13", made(falling())).status == Status.NOT_CHECKABLE
    assert judged("T13", made(falling(), validations=told(DOWN[:4], DOWN[:4]))).status == Status.NOT_CHECKABLE
