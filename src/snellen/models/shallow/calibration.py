"""From margins to probabilities (Platt's sigmoids).

Shapes: n images, P classes.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64

__all__ = ["calibrated_probs", "fit_sigmoid", "fit_sigmoids"]

MAX_STEPS = 100  # of Newton's method; it needs about ten
_RIDGE = 1e-12  # on the Hessian, as Lin et al. have it
_LEAST_GRADIENT = 1e-5  # at which it stops, as theirs
_LEAST_STEP = 1e-10


def fit_sigmoid(margins: Float64[np.ndarray, " n"], is_class: Bool[np.ndarray, " n"]) -> tuple[float, float]:
    """Return slope and offset of the sigmoid that turns margins into probabilities.

    Where margins say nothing, or the wrong way round, as may happen with very few images, the sigmoid is that of the
    margin itself.

    Args:
        margins: Of images that the learner has not seen.
        is_class: Whether an image is of the class.

    Source:
        Platt 1999, with smoothed targets; solved as Lin, Lin and Weng 2007 do,
        https://doi.org/10.1007/s10994-007-5018-6. The slope has the opposite sign of their A.
    """
    wanted, others = int(is_class.sum()), int((~is_class).sum())
    target = np.where(is_class, (wanted + 1) / (wanted + 2), 1 / (others + 2))
    slope, offset = 0.0, float(np.log((wanted + 1) / (others + 1)))
    scale = max(float(np.abs(margins).max(initial=0)), np.finfo(np.float64).tiny)
    values = margins / scale
    loss = _loss(slope * values + offset, target)
    for _ in range(MAX_STEPS):
        probs = _sigmoid(slope * values + offset)
        gap, weight = probs - target, probs * (1 - probs)
        gradient = np.array([(gap * values).sum(), gap.sum()])
        if np.abs(gradient).max() < _LEAST_GRADIENT:
            break
        mixed = (weight * values).sum()
        hessian = np.array([[(weight * values**2).sum(), mixed], [mixed, weight.sum()]]) + _RIDGE * np.eye(2)
        direction = -np.linalg.solve(hessian, gradient)
        step = 1.0
        while step >= _LEAST_STEP:
            tried = (slope + step * direction[0], offset + step * direction[1])
            after = _loss(tried[0] * values + tried[1], target)
            if after < loss + 1e-4 * step * float(gradient @ direction):
                break
            step /= 2
        else:
            break
        (slope, offset), loss = tried, after
    return (float(slope / scale), float(offset)) if slope > 0 else (1.0, 0.0)


def fit_sigmoids(
    margins: Float64[np.ndarray, "n P"], labels: Int64[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, " P"], Float64[np.ndarray, " P"]]:
    """Return slopes and offsets, each class against the rest; two classes share one sigmoid."""
    if margins.shape[1] == 2:
        slope, offset = fit_sigmoid(margins[:, 1], labels == 1)
        return np.array([slope, slope]), np.array([-offset, offset])
    found = [fit_sigmoid(column, labels == label) for label, column in enumerate(margins.T)]
    return np.array([slope for slope, _ in found]), np.array([offset for _, offset in found])


def calibrated_probs(
    margins: Float64[np.ndarray, "n P"], slope: Float64[np.ndarray, " P"], offset: Float64[np.ndarray, " P"]
) -> Float64[np.ndarray, "n P"]:
    """Return probabilities that sum to 1: the sigmoids of all classes, over their sum.

    Source:
        Zadrozny and Elkan 2002, section 4, https://doi.org/10.1145/775047.775151.
    """
    probs = _sigmoid(margins * slope + offset)
    total = probs.sum(axis=1, keepdims=True)
    even = np.full_like(probs, 1 / probs.shape[1])
    return np.asarray(np.where(total > 0, probs / np.where(total > 0, total, 1), even))


def _sigmoid(values: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(values))
    return np.asarray(np.where(values >= 0, 1, small) / (1 + small))


def _loss(values: np.ndarray, target: np.ndarray) -> float:
    return float((np.logaddexp(0, values) - target * values).sum())
