"""Mixtures of Gaussians over the colours of pixels: what a class, or a side of an image, looks like.

Shapes: n pixels, d numbers of each, C components.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from snellen.errors import InputError

__all__ = ["Mixture", "fitted_mixture", "hard_mixture", "mixture_costs", "nearest_components", "started_components"]

_AT_ONCE = 2**16  # pixels whose densities are computed at once
_FIT_ON = 20_000  # pixels
_LOG_TWO_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mixture:
    """Gaussians with full covariances, and their shares.

    Attributes:
        weights: Share of each component.
        means: Centre of each.
        covariances: Of each.
    """

    weights: Float64[np.ndarray, " C"]
    means: Float64[np.ndarray, "C d"]
    covariances: Float64[np.ndarray, "C d d"]


def fitted_mixture(points: NDArray[np.floating], components: int, *, floor: float, seed: int) -> Mixture:
    """Return the mixture of greatest likelihood, as far as EM finds it from the clusters of k-means.

    Args:
        points: [n, d], at least one; of many, some are drawn.
        components: How many; a handful of points gets fewer.
        floor: Added to every variance, in the squared units of the points.
        seed: Of the start, and of the points that are drawn.

    Raises:
        InputError: If there is no point.

    Source:
        Dempster, Laird and Rubin 1977; through scikit-learn.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - takes long to import
    from sklearn.mixture import GaussianMixture  # noqa: PLC0415 - the same

    if not len(points):
        raise InputError("a mixture needs at least one pixel; got none. Mark more.")
    values = points.astype(np.float64)
    if len(values) > _FIT_ON:
        values = values[np.random.default_rng(seed).choice(len(values), _FIT_ON, replace=False)]
    number = max(1, min(components, len(np.unique(values, axis=0)) // 2))
    if number == 1:
        return _single(values, floor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a few more steps of EM change no border
        model = GaussianMixture(number, reg_covar=floor, random_state=seed, max_iter=50).fit(values)
    return Mixture(weights=model.weights_, means=model.means_, covariances=model.covariances_)


def _single(values: NDArray[np.float64], floor: float) -> Mixture:
    mean = values.mean(axis=0)
    centred = values - mean
    covariance = centred.T @ centred / len(values) + floor * np.eye(values.shape[1])
    return Mixture(weights=np.ones(1), means=mean[None], covariances=covariance[None])


def hard_mixture(
    points: NDArray[np.float64], component: Int64[np.ndarray, " n"], components: int, *, floor: float
) -> Mixture:
    """Return the mixture of points that belong to one component each; components without points are left out.

    Source:
        Rother, Kolmogorov and Blake 2004, "GrabCut", figure 3, step 2.
    """
    counts = np.bincount(component, minlength=components)
    kept = np.flatnonzero(counts)
    parts = [_single(points[component == number], floor) for number in kept]
    return Mixture(
        weights=counts[kept] / counts.sum(),
        means=np.concatenate([part.means for part in parts]),
        covariances=np.concatenate([part.covariances for part in parts]),
    )


def started_components(points: NDArray[np.float64], components: int, *, seed: int) -> Int64[np.ndarray, " n"]:
    """Return a cluster for each point, to begin with.

    Raises:
        InputError: If there is no point.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415 - the same
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - the same

    if not len(points):
        raise InputError("a mixture needs at least one pixel; got none. Mark more.")
    generator = np.random.default_rng(seed)
    some = points if len(points) <= _FIT_ON else points[generator.choice(len(points), _FIT_ON, replace=False)]
    number = min(components, len(np.unique(some, axis=0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = KMeans(number, n_init=1, random_state=seed).fit(some)
    return np.asarray(fitted.predict(points), dtype=np.int64)


def nearest_components(points: NDArray[np.float64], mixture: Mixture) -> Int64[np.ndarray, " n"]:
    """Return the component of least cost for each point, its share counted."""
    return np.concatenate(
        [
            _component_costs(points[start : start + _AT_ONCE], mixture).argmin(axis=1)
            for start in range(0, max(len(points), 1), _AT_ONCE)
        ]
    )


def mixture_costs(
    points: NDArray[np.floating], mixture: Mixture, *, is_hard: bool = False
) -> Float64[np.ndarray, " n"]:
    """Return minus the logarithm of the density at each point.

    Args:
        points: [n, d].
        mixture: As it was fitted.
        is_hard: Whether the nearest component alone counts, as in GrabCut's energy.

    Source:
        Rother, Kolmogorov and Blake 2004, equations 8 and 9, for hard components; ½ d ln 2π is added, so that it is a
        density.
    """
    found = []
    for start in range(0, max(len(points), 1), _AT_ONCE):
        costs = _component_costs(points[start : start + _AT_ONCE].astype(np.float64), mixture)
        lowest = costs.min(axis=1)
        soft = 0.0 if is_hard else np.log(np.exp(lowest[:, None] - costs).sum(axis=1))
        found.append(lowest - soft)
    return np.concatenate(found)


def _component_costs(points: NDArray[np.float64], mixture: Mixture) -> Float64[np.ndarray, "n C"]:
    """Return minus the logarithm of each component's share times its density."""
    costs = np.empty((len(points), len(mixture.weights)))
    for number, (weight, mean, covariance) in enumerate(
        zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    ):
        factor = np.linalg.cholesky(covariance)
        whitened = (points - mean) @ np.linalg.inv(factor).T
        half_log = np.log(np.diag(factor)).sum()
        costs[:, number] = (
            0.5 * np.square(whitened).sum(axis=1) + half_log + 0.5 * len(mean) * _LOG_TWO_PI - np.log(weight)
        )
    return costs
