"""Classes told by Bayes' rule from what each class looks like.

Shapes: n images, d features, P classes, M components of all classes together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snellen.errors import TrainingError
from snellen.models.field_checks import AT_LEAST_ONE, POSITIVE, check_fields
from snellen.models.shallow.examples import Examples, Predictor, class_weights, patient, sample_weights, softmax
from snellen.models.shallow.fitted import Arrays, Schema, Sizes

__all__ = [
    "BINARY",
    "CENTRES",
    "GAUSSIANS",
    "CountBayesSettings",
    "GaussianBayesSettings",
    "KmeansSettings",
    "MixtureSettings",
    "fit_bernoulli_bayes",
    "fit_gaussian_bayes",
    "fit_kmeans",
    "fit_mixture",
    "fit_multinomial_bayes",
]

_AT_ONCE = 256  # images compared with all components at once
_STARTS = 3  # of k-means and EM, which end in local optima


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianBayesSettings:
    """Of naive Bayes with Gaussians.

    Attributes:
        smoothing: Added to every variance, as a share of the greatest; None to choose it.
    """

    smoothing: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, smoothing=POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountBayesSettings:
    """Of naive Bayes with counts, or with what is there and what is not.

    Attributes:
        smoothing: Added to every count (1: Laplace's), so that nothing is impossible; None to choose it.
    """

    smoothing: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, smoothing=POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class KmeansSettings:
    """Of k-means for each class.

    Attributes:
        centres: Of each class; None to choose it.
    """

    centres: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, centres=AT_LEAST_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureSettings:
    """Of a mixture of Gaussians for each class.

    Attributes:
        components: Of each class; None to choose it.
        smoothing: Added to every variance, as a share of the mean variance.
    """

    components: int | None = None
    smoothing: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, components=AT_LEAST_ONE, smoothing=POSITIVE)


def fit_gaussian_bayes(examples: Examples, settings: GaussianBayesSettings) -> Arrays:
    """Return a Gaussian for each class and feature, features being taken as independent within a class."""
    from sklearn.naive_bayes import GaussianNB  # noqa: PLC0415 - takes a second to import

    solver = GaussianNB(var_smoothing=settings.smoothing or 1e-9)
    solver.fit(examples.features.astype(np.float64), examples.labels, sample_weights(examples))
    return {
        "mean": solver.theta_,
        "variance": np.maximum(solver.var_, np.finfo(np.float64).tiny ** 0.5),  # all features may be constant
        "log_weight": np.log(solver.class_prior_),
        "owner": np.arange(examples.num_classes),
    }


def fit_multinomial_bayes(examples: Examples, settings: CountBayesSettings) -> Arrays:
    """Return the share of each feature in each class, features being counts.

    Raises:
        TrainingError: If a feature is negative.

    Source:
        McCallum and Nigam 1998, the multinomial event model; through scikit-learn.
    """
    from sklearn.naive_bayes import MultinomialNB  # noqa: PLC0415 - the same

    if examples.features.min(initial=0) < 0:
        raise TrainingError(
            "multinomial naive Bayes learns from counts, which are 0 or more; some features are negative. Take "
            "features that count, such as colour, lbp or sift, or another learner."
        )
    solver = MultinomialNB(alpha=settings.smoothing or 1.0)
    solver.fit(examples.features.astype(np.float64), examples.labels, sample_weights(examples))
    return {"weight": solver.feature_log_prob_, "bias": solver.class_log_prior_}


def fit_bernoulli_bayes(examples: Examples, settings: CountBayesSettings) -> Arrays:
    """Return how often each feature lies above its median in each class.

    Source:
        McCallum and Nigam 1998, the multi-variate Bernoulli event model; through scikit-learn.
    """
    from sklearn.naive_bayes import BernoulliNB  # noqa: PLC0415 - the same

    threshold = np.median(examples.features, axis=0).astype(np.float64)
    solver = BernoulliNB(alpha=settings.smoothing or 1.0, binarize=None)
    solver.fit((examples.features > threshold).astype(np.float64), examples.labels, sample_weights(examples))
    absent = np.log1p(-np.exp(solver.feature_log_prob_))
    return {
        "threshold": threshold,
        "weight": solver.feature_log_prob_ - absent,
        "bias": solver.class_log_prior_ + absent.sum(axis=1),
    }


def fit_kmeans(examples: Examples, settings: KmeansSettings) -> Arrays:
    """Return the centres of each class; an image is of the class of the nearest.

    Source:
        Lloyd 1982, https://doi.org/10.1109/TIT.1982.1056489, started as Arthur and Vassilvitskii 2007 do; through
        scikit-learn. How sure it is comes from the mean distance of the training images to their centres.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415 - the same

    means, owners, error = [], [], 0.0
    for label in range(examples.num_classes):
        rows = examples.features[examples.labels == label]
        number = min(settings.centres or 1, len(np.unique(rows, axis=0)))
        solver = KMeans(number, n_init=_STARTS, random_state=examples.seed).fit(rows)
        means.append(solver.cluster_centers_.astype(np.float64))
        owners.append(np.full(number, label))
        error += solver.inertia_
    mean = np.concatenate(means)
    variance = max(error / examples.features.size, np.finfo(np.float64).tiny ** 0.5)
    return {
        "mean": mean,
        "variance": np.full_like(mean, variance),
        "log_weight": np.zeros(len(mean)),
        "owner": np.concatenate(owners),
    }


def fit_mixture(examples: Examples, settings: MixtureSettings) -> Arrays:
    """Return a mixture of Gaussians for each class, of greatest likelihood as far as EM finds it.

    A class with fewer images than it takes gets fewer components; of a single image, the variance of all.

    Source:
        Dempster, Laird and Rubin 1977; classes as in Hastie and Tibshirani 1996, mixture discriminant analysis,
        section 2. Through scikit-learn. Axes of the Gaussians are those of the features.
    """
    from sklearn.mixture import GaussianMixture  # noqa: PLC0415 - the same

    features = examples.features.astype(np.float64)
    spread = features.var(axis=0)
    floor = max(settings.smoothing * float(spread.mean()), np.finfo(np.float64).tiny ** 0.5)
    priors = np.log(np.bincount(examples.labels) * class_weights(examples) / len(examples))
    parts: dict[str, list[NDArray[np.float64]]] = {"mean": [], "variance": [], "log_weight": [], "owner": []}
    for label in range(examples.num_classes):
        rows = features[examples.labels == label]
        number = min(settings.components or 1, len(np.unique(rows, axis=0)) // 2)
        if number == 0:
            found = rows[:1], spread[None] + floor, np.zeros(1)
        else:
            solver = GaussianMixture(
                number, covariance_type="diag", reg_covar=floor, n_init=_STARTS, random_state=examples.seed
            )
            with patient():
                solver.fit(rows)
            found = solver.means_, solver.covariances_, np.log(np.maximum(solver.weights_, np.finfo(float).tiny))
        for name, value in zip(parts, (*found, np.full(len(found[0]), label)), strict=True):
            parts[name].append(value)
        parts["log_weight"][-1] = parts["log_weight"][-1] + priors[label]
    return {name: np.concatenate(values) for name, values in parts.items()}


def _log_density(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the log of weight times density of each component, ``[n, M]``, without the constant of the dimension."""
    mean, variance = arrays["mean"], arrays["variance"]
    constant = arrays["log_weight"] - 0.5 * np.log(variance).sum(axis=1)
    parts = [np.zeros((0, len(mean)))]
    for start in range(0, len(features), _AT_ONCE):
        rows = features[start : start + _AT_ONCE].astype(np.float64)
        far = np.stack(
            [(np.square(rows - centre) / spread).sum(axis=1) for centre, spread in zip(mean, variance, strict=True)]
        )
        parts.append(constant - 0.5 * far.T)
    return np.concatenate(parts)


def _sums(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    density = _log_density(arrays, features)
    top = density.max(axis=1, keepdims=True)
    shares = np.exp(density - top)
    columns = [shares[:, arrays["owner"] == label].sum(axis=1) for label in range(arrays["owner"].max() + 1)]
    return np.asarray(np.log(np.maximum(np.stack(columns, axis=1), np.finfo(np.float64).tiny)) + top)


def _nearest(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    density = _log_density(arrays, features)
    columns = [density[:, arrays["owner"] == label].max(axis=1) for label in range(arrays["owner"].max() + 1)]
    return np.asarray(np.stack(columns, axis=1))


def _binary(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray((features > arrays["threshold"]).astype(np.float64) @ arrays["weight"].T + arrays["bias"])


def _faults(arrays: Arrays, sizes: Sizes) -> str:
    owner = arrays["owner"]
    if not len(owner) or set(owner.tolist()) != set(range(sizes["P"])):
        return f"owner must name each of the {sizes['P']} classes and no other."
    return "" if (arrays["variance"] > 0).all() else "variance must be above 0."


_COMPONENTS = Schema(
    arrays={
        "mean": ("f", ("M", "d")),
        "variance": ("f", ("M", "d")),
        "log_weight": ("f", ("M",)),
        "owner": ("i", ("M",)),
    },
    faults=_faults,
)
GAUSSIANS = Predictor(schema=_COMPONENTS, margins=_sums, probs=softmax)
CENTRES = Predictor(schema=_COMPONENTS, margins=_nearest, probs=softmax)
BINARY = Predictor(
    schema=Schema(arrays={"threshold": ("f", ("d",)), "weight": ("f", ("P", "d")), "bias": ("f", ("P",))}),
    margins=_binary,
    probs=softmax,
)
