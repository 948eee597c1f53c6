"""Weights of a blend against a constrained minimiser that nobody here wrote (SYS-222)."""

import numpy as np
import pytest
from scipy.optimize import minimize

from snellen.errors import InputError
from snellen.evaluation import blend_weights, log_loss


@pytest.mark.parametrize("seed", range(3))
def test_equals_a_constrained_minimiser(seed):
    chance = np.random.default_rng(seed)
    given = chance.beta((2.0, 1.0, 3.0), (1.0, 1.0, 2.0), (200, 3))
    found = blend_weights(given)
    best = minimize(
        lambda weights: log_loss(given @ weights), np.full(3, 1 / 3), method="SLSQP", bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1}, options={"ftol": 1e-14},
    )  # fmt: skip
    assert found == pytest.approx(best.x, abs=2e-3)
    assert log_loss(given @ found) <= best.fun + 1e-7
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()


def test_never_worse_than_the_best_member_or_equal_weights():
    given = np.random.default_rng(0).uniform(0.01, 1, (50, 4))
    loss = log_loss(given @ blend_weights(given))
    assert loss <= min(log_loss(column) for column in given.T) + 1e-9
    assert loss <= log_loss(given.mean(1)) + 1e-9


def test_a_member_that_is_surely_wrong_once_breaks_nothing():
    given = np.array([[0.9, 0.0], [0.8, 1.0]])
    assert np.isfinite(blend_weights(given)).all()


def test_a_model_that_knows_nothing_gets_nothing():
    given = np.stack([np.full(30, 0.9), np.full(30, 0.5)], axis=1)
    assert blend_weights(given) == pytest.approx([1, 0], abs=1e-3)


@pytest.mark.parametrize("shape", [(0, 2), (2, 0), (3,)])
def test_nothing_to_fit_on_is_refused(shape):
    with pytest.raises(InputError, match="likelihoods must have shape"):
        blend_weights(np.zeros(shape))
