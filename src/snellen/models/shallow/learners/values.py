"""Numbers estimated from features: regression.

Shapes: n images, d features, S support vectors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import NDArray

from snellen.models.field_checks import NOT_NEGATIVE, POSITIVE, check_fields
from snellen.models.shallow.fitted import Arrays, Schema, Sizes

__all__ = [
    "VALUE_LEARNERS",
    "LeastSquaresSettings",
    "RidgeSettings",
    "SvrSettings",
    "ValueExamples",
    "ValueLearner",
]

_AT_ONCE = 512  # images compared with all support vectors at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueExamples:
    """Images as features, with a number each.

    Attributes:
        features: One row for each image.
        values: In standard units.
        seed: Of everything random.
    """

    features: Float32[np.ndarray, "n d"]
    values: Float64[np.ndarray, " n"]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLearner:
    """A row of the table of learners of values; see ``Learner`` for what is not said here.

    Attributes:
        estimate: From arrays and features to a number for each image.
        schema: Of the arrays; ``d`` is known.
    """

    name: str
    summary: str
    paper: str
    settings: type[Any]
    fit: Callable[[ValueExamples, Any], Arrays]
    estimate: Callable[[Arrays, NDArray[np.float32]], NDArray[np.float64]]
    schema: Schema
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    most_images: int = 20_000
    tried_images: int = 2000
    only: tuple[str, ...] = ()
    counts: bool = False
    keeps_images: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastSquaresSettings:
    """Of linear regression: nothing can be set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeSettings:
    """Of ridge regression.

    Attributes:
        penalty: On the squared weights against the squared error of an image; None to choose it.
    """

    penalty: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, penalty=POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SvrSettings:
    """Of support vector regression with a Gaussian kernel.

    Attributes:
        cost: C, of an error beyond ``tolerance``; None to choose it.
        gamma: Of exp(−gamma · distance²), in features scaled to a mean square length of 1; None to choose it. The
            greater, the narrower: narrow kernels follow noise, wide ones see no detail.
        tolerance: Error that costs nothing, in standard deviations of the values.
    """

    cost: float | None = None
    gamma: float | None = None
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, cost=POSITIVE, gamma=POSITIVE, tolerance=NOT_NEGATIVE)


def fit_least_squares(examples: ValueExamples, settings: LeastSquaresSettings) -> Arrays:
    """Return the plane of least squared error; of several the one of least weights.

    Source:
        Legendre 1805; through numpy.
    """
    del settings
    features = examples.features.astype(np.float64)
    centre, mean = features.mean(axis=0), float(examples.values.mean())
    weight = np.linalg.lstsq(features - centre, examples.values - mean, rcond=None)[0]
    return {"weight": weight, "bias": np.array([mean - float(centre @ weight)])}


def fit_ridge(examples: ValueExamples, settings: RidgeSettings) -> Arrays:
    """Return the plane of least squared error with a penalty on its weights.

    Source:
        Hoerl and Kennard 1970, https://doi.org/10.1080/00401706.1970.10488634, through scikit-learn.
    """
    from sklearn.linear_model import Ridge  # noqa: PLC0415 - takes a second to import

    solver = Ridge(alpha=settings.penalty or 1.0).fit(examples.features.astype(np.float64), examples.values)
    return {"weight": solver.coef_, "bias": np.array([float(solver.intercept_)])}


def fit_svr(examples: ValueExamples, settings: SvrSettings) -> Arrays:
    """Return the support vectors of the flattest function that stays near the values.

    Source:
        Drucker et al. 1996, Support vector regression machines; Smola and Schölkopf 2004,
        https://doi.org/10.1023/B:STCO.0000035301.49549.88; through scikit-learn.
    """
    from sklearn.svm import SVR  # noqa: PLC0415 - the same

    gamma = settings.gamma or 1.0
    solver = SVR(C=settings.cost or 1.0, gamma=gamma, epsilon=settings.tolerance)
    solver.fit(examples.features.astype(np.float64), examples.values)
    return {
        "vectors": solver.support_vectors_.astype(np.float32),
        "weight": solver.dual_coef_[0],
        "bias": np.asarray(solver.intercept_, np.float64),
        "gamma": np.array([gamma]),
    }


def _plane(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(features.astype(np.float64) @ arrays["weight"] + arrays["bias"][0])


def _kernel_sum(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    vectors = arrays["vectors"].astype(np.float64)
    square = np.square(vectors).sum(axis=1)
    parts = [np.zeros(0)]
    for start in range(0, len(features), _AT_ONCE):
        rows = features[start : start + _AT_ONCE].astype(np.float64)
        far = np.square(rows).sum(axis=1)[:, None] + square - 2 * rows @ vectors.T
        parts.append(np.exp(-arrays["gamma"][0] * np.maximum(far, 0)) @ arrays["weight"] + arrays["bias"][0])
    return np.concatenate(parts)


def _positive_gamma(arrays: Arrays, sizes: Sizes) -> str:
    del sizes
    return "" if arrays["gamma"][0] > 0 else "gamma must be above 0."


_PLANE = Schema(arrays={"weight": ("f", ("d",)), "bias": ("f", (1,))})

VALUE_LEARNERS: tuple[ValueLearner, ...] = (
    ValueLearner(
        name="linear",
        summary="linear regression (least squares)",
        paper="",
        settings=LeastSquaresSettings,
        fit=fit_least_squares,
        estimate=_plane,
        schema=_PLANE,
    ),
    ValueLearner(
        name="ridge",
        summary="ridge regression",
        paper="https://doi.org/10.1080/00401706.1970.10488634",
        settings=RidgeSettings,
        fit=fit_ridge,
        estimate=_plane,
        schema=_PLANE,
        grid={"penalty": (10.0, 1.0, 0.1, 0.01)},
    ),
    ValueLearner(
        name="svr",
        summary="support vector regression with a Gaussian kernel",
        paper="https://doi.org/10.1023/B:STCO.0000035301.49549.88",
        settings=SvrSettings,
        fit=fit_svr,
        estimate=_kernel_sum,
        schema=Schema(
            arrays={"vectors": ("f", ("S", "d")), "weight": ("f", ("S",)), "bias": ("f", (1,)), "gamma": ("f", (1,))},
            faults=_positive_gamma,
        ),
        grid={"cost": (1.0, 10.0), "gamma": (0.3, 1.0, 3.0)},
        most_images=10_000,
        tried_images=1500,
    ),
)
