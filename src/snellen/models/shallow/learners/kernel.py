"""Support vector machines with a Gaussian kernel, one class against another.

Shapes: n images, d features, P classes, S support vectors.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snellen.models.field_checks import POSITIVE, check_fields
from snellen.models.shallow.examples import Examples, Predictor, class_weights
from snellen.models.shallow.fitted import Arrays, Schema, Sizes

__all__ = ["KERNEL", "KernelSvmSettings", "fit_kernel_svm", "pair_margins"]

CACHE_MB = 500  # of kernel values while it is solved
_AT_ONCE = 512  # images compared with all support vectors at once


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSvmSettings:
    """Of a support vector machine with a Gaussian kernel.

    Attributes:
        cost: C, of an image's hinge loss against half the squared norm; None to choose it.
        gamma: Of exp(−gamma · distance²), in features scaled to a mean square length of 1 (scikit-learn's ``scale`` is
            1 there); None to choose it. The greater, the narrower.
    """

    cost: float | None = None
    gamma: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, cost=POSITIVE, gamma=POSITIVE)


def fit_kernel_svm(examples: Examples, settings: KernelSvmSettings) -> Arrays:
    """Return the support vectors of each pair of classes.

    Source:
        Cortes and Vapnik 1995, https://doi.org/10.1007/BF00994018; Chang and Lin 2011 (libsvm), through scikit-learn.
    """
    from sklearn.svm import SVC  # noqa: PLC0415 - takes a second to import

    gamma = settings.gamma or 1.0
    solver = SVC(
        C=settings.cost or 1.0,
        gamma=gamma,
        class_weight=dict(enumerate(class_weights(examples).tolist())),
        cache_size=CACHE_MB,
        random_state=examples.seed,
    )
    solver.fit(examples.features.astype(np.float64), examples.labels)
    # With two classes scikit-learn turns the signs, so that the second is the positive one.
    sign = -1.0 if examples.num_classes == 2 else 1.0
    return {
        "vectors": solver.support_vectors_.astype(np.float32),
        "counts": solver.n_support_.astype(np.int64),
        "weight": sign * solver.dual_coef_,
        "bias": sign * solver.intercept_,
        "gamma": np.array([gamma]),
    }


def pair_margins(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the margin of each pair of classes (0, 1), (0, 2), … (1, 2), …; positive for the first of the two."""
    vectors, counts = arrays["vectors"], arrays["counts"]
    num_classes, stops = len(counts), np.cumsum(counts)
    parts = [np.zeros((0, len(arrays["bias"])))]
    square = np.square(vectors, dtype=np.float64).sum(axis=1)
    for start in range(0, len(features), _AT_ONCE):
        rows = features[start : start + _AT_ONCE].astype(np.float64)
        far = np.square(rows).sum(axis=1)[:, None] + square - 2 * rows @ vectors.T
        kernel = np.exp(-arrays["gamma"][0] * np.maximum(far, 0))
        # Of the vectors of a class, row r of the weights is for its pair with the r-th of the other classes.
        sums = [
            kernel[:, stop - count : stop] @ arrays["weight"][:, stop - count : stop].T
            for count, stop in zip(counts, stops, strict=True)
        ]
        pairs = [
            sums[first][:, second - 1] + sums[second][:, first]
            for first in range(num_classes)
            for second in range(first + 1, num_classes)
        ]
        parts.append(np.stack(pairs, axis=1) + arrays["bias"])
    return np.concatenate(parts)


def _margins(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the votes of the pairs, ties broken by the sum of their margins, as scikit-learn's ``ovr`` does."""
    pairs, num_classes = pair_margins(arrays, features), len(arrays["counts"])
    if num_classes == 2:
        return np.concatenate([pairs, -pairs], axis=1)
    votes, sums = (np.zeros((len(features), num_classes)) for _ in range(2))
    number = 0
    for first in range(num_classes):
        for second in range(first + 1, num_classes):
            margin = pairs[:, number]
            sums[:, first] += margin
            sums[:, second] -= margin
            votes[:, first] += margin >= 0
            votes[:, second] += margin < 0
            number += 1
    return np.asarray(votes + sums / (3 * (np.abs(sums) + 1)))


def _faults(arrays: Arrays, sizes: Sizes) -> str:
    counts, num_classes = arrays["counts"], sizes["P"]
    if (counts < 0).any() or counts.sum() != sizes["S"]:
        return f"counts must add up to the {sizes['S']} support vectors."
    if sizes["R"] != num_classes - 1 or sizes["Q"] != num_classes * (num_classes - 1) // 2:
        return f"weight and bias must be for all pairs of {num_classes} classes."
    return "" if arrays["gamma"][0] > 0 else "gamma must be above 0."


KERNEL = Predictor(
    schema=Schema(
        arrays={
            "vectors": ("f", ("S", "d")),
            "counts": ("i", ("P",)),
            "weight": ("f", ("R", "S")),
            "bias": ("f", ("Q",)),
            "gamma": ("f", (1,)),
        },
        faults=_faults,
    ),
    margins=_margins,
    probs=None,
)
