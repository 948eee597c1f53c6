"""Classes told apart by weighted sums of features.

Shapes: n images, d features, P classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.models.field_checks import AT_LEAST_ONE, POSITIVE, SHARE, check_fields
from snellen.models.shallow.calibration import calibrated_probs
from snellen.models.shallow.examples import (
    Examples,
    Predictor,
    class_weights,
    patient,
    sample_weights,
    softmax,
    two_columns,
)
from snellen.models.shallow.fitted import Arrays, Schema

__all__ = [
    "LINEAR",
    "LINEAR_SIGMOIDS",
    "LINEAR_SOFTMAX",
    "LdaSettings",
    "LogisticSettings",
    "PerceptronSettings",
    "SvmSettings",
    "fit_lda",
    "fit_linear_svm",
    "fit_logistic",
    "fit_perceptron",
    "fit_softmax",
]

MAX_ITERATIONS = 1000  # of a solver; one that stops there is near enough to its optimum for a baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticSettings:
    """Of logistic and softmax regression.

    Attributes:
        cost: C, of an image's log loss against half the squared weights; None to choose it.
    """

    cost: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, cost=POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SvmSettings:
    """Of a linear support vector machine.

    Attributes:
        cost: C, of an image's squared hinge loss against half the squared weights; None to choose it.
    """

    cost: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, cost=POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptronSettings:
    """Of the perceptron.

    Attributes:
        passes: Most passes over the images.
    """

    passes: int = 100

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, passes=AT_LEAST_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LdaSettings:
    """Of linear discriminant analysis.

    Attributes:
        shrinkage: Share of the mean variance that is mixed into the covariance, 0 to 1; None for Ledoit and Wolf's.
    """

    shrinkage: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, shrinkage=SHARE)


def _margins(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(features.astype(np.float64) @ arrays["weight"].T + arrays["bias"])


def _sigmoids(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log-odds of each class against the rest as probabilities, over their sum."""
    number = margins.shape[1]
    return calibrated_probs(margins, np.ones(number), np.zeros(number))


_SCHEMA = Schema(arrays={"weight": ("f", ("P", "d")), "bias": ("f", ("P",))})
LINEAR = Predictor(schema=_SCHEMA, margins=_margins, probs=None)
LINEAR_SOFTMAX = Predictor(schema=_SCHEMA, margins=_margins, probs=softmax)
LINEAR_SIGMOIDS = Predictor(schema=_SCHEMA, margins=_margins, probs=_sigmoids)


def fit_linear_svm(examples: Examples, settings: SvmSettings) -> Arrays:
    """Return one hyperplane of greatest margin for each class against the rest.

    Source:
        Fan et al. 2008 (liblinear), through scikit-learn.
    """
    from sklearn.svm import LinearSVC  # noqa: PLC0415 - takes a second to import

    solver = LinearSVC(
        C=settings.cost or 1.0,
        class_weight=_weights(examples),
        dual=len(examples) < examples.features.shape[1],
        random_state=examples.seed,
        max_iter=MAX_ITERATIONS,
    )
    return _planes(solver, examples)


def fit_logistic(examples: Examples, settings: LogisticSettings) -> Arrays:
    """Return a logistic regression for each class against the rest, each on its own."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - the same

    weights = sample_weights(examples)
    rows = []
    for label in range(examples.num_classes) if examples.num_classes > 2 else (1,):
        solver = LogisticRegression(C=settings.cost or 1.0, max_iter=MAX_ITERATIONS)
        with patient():
            solver.fit(examples.features, examples.labels == label, weights)
        rows.append(np.append(solver.coef_[0], solver.intercept_[0]))
    planes = two_columns(np.stack(rows))
    return {"weight": planes[:, :-1].astype(np.float64), "bias": planes[:, -1].astype(np.float64)}


def fit_softmax(examples: Examples, settings: LogisticSettings) -> Arrays:
    """Return a softmax regression: all classes at once, of greatest likelihood."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - the same

    solver = LogisticRegression(C=settings.cost or 1.0, max_iter=MAX_ITERATIONS)
    with patient():
        solver.fit(examples.features, examples.labels, sample_weights(examples))
    return _log_odds(solver.coef_, solver.intercept_)


def fit_perceptron(examples: Examples, settings: PerceptronSettings) -> Arrays:
    """Return a hyperplane for each class against the rest, moved by its errors alone.

    Source:
        Rosenblatt 1958, https://doi.org/10.1037/h0042519, through scikit-learn.
    """
    from sklearn.linear_model import Perceptron  # noqa: PLC0415 - the same

    solver = Perceptron(max_iter=settings.passes, class_weight=_weights(examples), random_state=examples.seed)
    return _planes(solver, examples)


def fit_lda(examples: Examples, settings: LdaSettings) -> Arrays:
    """Return the boundaries between Gaussians of one covariance, shrunk towards a multiple of the identity.

    With one image of each class nothing is known of the spread within classes, and the nearest mean wins.

    Source:
        Fisher 1936; Ledoit and Wolf 2004, https://doi.org/10.1016/S0047-259X(03)00096-4; through scikit-learn.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # noqa: PLC0415 - the same

    if len(examples) == examples.num_classes:
        means = examples.features[np.argsort(examples.labels)].astype(np.float64)
        return {"weight": means, "bias": -np.square(means).sum(axis=1) / 2}
    priors = np.full(examples.num_classes, 1 / examples.num_classes) if examples.is_balanced else None
    solver = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage="auto" if settings.shrinkage is None else settings.shrinkage, priors=priors
    )
    solver.fit(examples.features.astype(np.float64), examples.labels)
    return _log_odds(solver.coef_, solver.intercept_)


def _planes(solver: Any, examples: Examples) -> Arrays:
    with patient():
        solver.fit(examples.features, examples.labels)
    return {
        "weight": two_columns(solver.coef_).astype(np.float64),
        "bias": two_columns(solver.intercept_).astype(np.float64),
    }


def _log_odds(weight: NDArray[Any], bias: NDArray[Any]) -> Arrays:
    """Return one row for each class; of two classes solvers give the log-odds of the second alone."""
    if len(weight) == 1:
        weight, bias = np.concatenate([np.zeros_like(weight), weight]), np.concatenate([np.zeros_like(bias), bias])
    return {"weight": weight.astype(np.float64), "bias": bias.astype(np.float64)}


def _weights(examples: Examples) -> dict[int, float] | None:
    return dict(enumerate(class_weights(examples).tolist())) if examples.is_balanced else None
