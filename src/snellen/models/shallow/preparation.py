"""What happens to features before a learner sees them; it is fitted on training images and part of the model.

Shapes: n images, d features, c components.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from snellen.models.field_checks import AT_LEAST_ONE, POSITIVE, Range, check_fields
from snellen.models.shallow.fitted import Arrays, Schema

__all__ = ["PREPARATION", "FittingSettings", "Scaling", "fit_preparation", "prepared_features"]

Scaling = Literal["standard", "none"]
MOST_COMPONENTS = 256  # where a share of the variance is asked for
CONSTANT_BELOW = 1e-6  # spread of a feature as a share of its size; less is rounding of single precision
_NOT_NEGATIVE = Range(lambda value: value >= 0, "a number of components, a share of the variance below 1, or 0 for all")


@dataclass(frozen=True, slots=True, kw_only=True)
class FittingSettings:
    """How a shallow model is fitted, whatever its learner.

    Attributes:
        scale: ``standard`` (mean 0, spread 1 over the training images) or ``none``; None for what suits the learner.
        pca: Principal components to keep, or the share of the variance that they shall hold; 0 for the features as they
            are, None for what suits the learner.
        whiten: Whether components are scaled to equal variance.
        balance: Whether every class weighs the same; None for yes where the figure that stands first is a mean over
            classes, as they are of unequal size.
        folds: Of the cross-validation that chooses what is left open.
        tried_images: Images that it works with at most.
        most_images: That a learner is fitted to at most; None for what it can do in minutes.
    """

    scale: Scaling | None = None
    pca: float | None = None
    whiten: bool = False
    balance: bool | None = None
    folds: int = 3
    tried_images: int = 2000
    most_images: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(
            self,
            pca=_NOT_NEGATIVE,
            folds=Range(lambda value: value >= 2, "a whole number of 2 or more", is_whole=True),
            tried_images=POSITIVE,
            most_images=AT_LEAST_ONE,
        )


def fit_preparation(
    features: Float32[np.ndarray, "n d"], *, scale: Scaling, pca: float, whiten: bool, seed: int
) -> Arrays:
    """Return mean and factor of each feature and, where wanted, principal components of what they give.

    Standardised features are divided by the root of their number, too, so that an image's mean square length is 1
    however many there are, and a cost or a kernel's width means the same for all kinds of features. A feature that is
    constant over the training images says nothing, and its factor is 0.

    Args:
        features: Of the training images.
        scale: See ``FittingSettings``.
        pca: See ``FittingSettings``.
        whiten: See ``FittingSettings``.
        seed: Of the search for components.

    Source:
        Pearson 1901 for the components; Halko et al. 2011 for finding them, through scikit-learn.
    """
    width = features.shape[1]
    mean, factor = np.zeros(width), np.ones(width)
    if scale == "standard":
        mean, spread = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
        varies = spread > CONSTANT_BELOW * np.maximum(np.abs(mean), CONSTANT_BELOW)
        factor = np.where(varies, 1 / np.where(varies, spread, 1), 0) / np.sqrt(max(1, varies.sum()))
    arrays = {"mean": mean, "factor": factor}
    if not pca:
        return arrays
    return {**arrays, **_components(_scaled(arrays, features), pca, whiten=whiten, seed=seed)}


def _components(rows: NDArray[np.float32], pca: float, *, whiten: bool, seed: int) -> dict[str, NDArray[np.float64]]:
    from sklearn.decomposition import PCA  # noqa: PLC0415 - takes a second to import

    most = max(1, min(rows.shape[1], len(rows) - 1))
    wanted = min(most, int(pca) if pca >= 1 else MOST_COMPONENTS)
    found = PCA(wanted, svd_solver="full" if wanted == most else "randomized", random_state=seed)
    with np.errstate(invalid="ignore", divide="ignore"):  # shares of no variance at all
        found.fit(rows.astype(np.float64))
        shares = np.nan_to_num(found.explained_variance_ratio_)
    kept = wanted if pca >= 1 else min(wanted, int(np.searchsorted(np.cumsum(shares), pca)) + 1)
    axes = found.components_[:kept]
    if whiten:
        variance = found.explained_variance_[:kept]
        strong = variance > np.finfo(np.float64).eps * max(variance[0], np.finfo(np.float64).tiny)
        axes = axes * np.where(strong, 1 / np.sqrt(np.where(strong, variance, 1)), 0)[:, None]
    return {"centre": found.mean_, "axes": axes}


def prepared_features(arrays: Arrays, features: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n c"]:
    """Return features as the learner sees them."""
    rows = _scaled(arrays, features)
    if "axes" not in arrays:
        return rows
    return ((rows - arrays["centre"].astype(np.float32)) @ arrays["axes"].T.astype(np.float32)).astype(np.float32)


def _scaled(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = (features - arrays["mean"].astype(np.float32)) * arrays["factor"].astype(np.float32)
    return scaled


PREPARATION = Schema(
    arrays={"mean": ("f", ("D",)), "factor": ("f", ("D",)), "centre": ("f", ("D",)), "axes": ("f", ("c", "D"))},
    optional=frozenset({"centre", "axes"}),
    faults=lambda arrays, _: (
        "" if ("centre" in arrays) == ("axes" in arrays) else "centre and axes must come together."
    ),
)
