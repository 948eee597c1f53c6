"""Weights with which the probabilities of several models are mixed."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from snellen.errors import InputError

__all__ = ["blend_weights", "log_loss"]

_ROUNDS = 20_000
_GAIN = 1e-12  # of the mean log-likelihood from one round to the next, below which it has arrived
_FLOOR = 1e-12  # probability below which a model counts as this sure that it is wrong


def log_loss(likelihoods: Float[np.ndarray, " n"]) -> float:
    """Return the mean over images of minus the logarithm of what was given to the true class, in nats."""
    return float(-np.log(np.maximum(likelihoods, _FLOOR)).mean())


def blend_weights(likelihoods: Float[np.ndarray, "n m"]) -> NDArray[np.float64]:
    """Return the weights, none below 0 and of sum 1, of least log-loss of the mixed probabilities.

    The log-loss is convex in the weights, and they are the shares of a mixture whose parts are known: the EM algorithm
    goes down in every round, stays within the simplex by itself, and ends at the one minimum.

    Args:
        likelihoods: What each of ``m`` models gives to the true class of each of ``n`` images that none has learned
            from.

    Raises:
        InputError: If there is nothing to fit on.

    Source:
        Wolpert 1992, Stacked generalization; EM for the shares of a mixture: Dempster, Laird, Rubin 1977, section 4.3.
    """
    if likelihoods.ndim != 2 or 0 in likelihoods.shape:
        raise InputError(f"likelihoods must have shape [images, models], both above 0; got {list(likelihoods.shape)}.")
    given = np.maximum(np.asarray(likelihoods, np.float64), _FLOOR)
    weights = np.full(given.shape[1], 1 / given.shape[1])
    before = -np.inf
    for _ in range(_ROUNDS):
        mixed = given @ weights
        now = float(np.log(mixed).mean())
        if now - before < _GAIN:
            break
        before = now
        weights = weights * (given / mixed[:, None]).mean(0)
    return np.asarray(weights / weights.sum(), np.float64)
