"""Logistic regression on features cut into bins, and on which bins of two features come together.

Shapes: n images, d features, B bins, F picked features, X pairs of them, P classes.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from snellen.models.field_checks import AT_LEAST_ONE, POSITIVE, Range, check_fields
from snellen.models.shallow.examples import Examples, Predictor, patient, sample_weights, softmax
from snellen.models.shallow.fitted import Arrays, Schema, Sizes

__all__ = ["BINNED", "CROSSED", "BinnedSettings", "CrossedSettings", "fit_binned", "fit_crossed"]

MAX_STEPS = 200  # of a solver on thousands of columns; the penalty, not the last digits, decides there
_AT_LEAST_TWO = Range(lambda value: value >= 2, "a whole number of 2 or more", is_whole=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class BinnedSettings:
    """Of logistic regression on bins.

    Attributes:
        bins: Of each feature, with about equally many training images in each.
        cost: C, of an image's log loss against half the squared weights; None to choose it.
    """

    bins: int = 5
    cost: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, bins=_AT_LEAST_TWO, cost=POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossedSettings:
    """Of logistic regression on bins and on pairs of bins.

    Attributes:
        bins: See ``BinnedSettings``.
        crossed: Features, those that tell the classes apart best one by one, all pairs of which are crossed.
        cost: See ``BinnedSettings``.
    """

    bins: int = 4
    crossed: int = 16
    cost: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, bins=_AT_LEAST_TWO, crossed=AT_LEAST_ONE, cost=POSITIVE)


def fit_binned(examples: Examples, settings: BinnedSettings) -> Arrays:
    """Return the weight of every bin of every feature, so that a feature may count in any way, not in proportion."""
    edges = bin_edges(examples.features, settings.bins)
    columns = _one_hot(_bins(examples.features, edges), settings.bins)
    return {"edges": edges, **_solved(columns, examples, settings.cost)}


def fit_crossed(examples: Examples, settings: CrossedSettings) -> Arrays:
    """Return the weight of every bin, and of every pair of bins of the picked features."""
    edges = bin_edges(examples.features, settings.bins)
    codes = _bins(examples.features, edges)
    picked = strongest(examples, settings.crossed)
    columns = _crossed(codes, picked, settings.bins)
    return {"edges": edges, "picked": picked, **_solved(columns, examples, settings.cost)}


def bin_edges(features: Float32[np.ndarray, "n d"], bins: int) -> Float64[np.ndarray, "d edges"]:
    """Return the quantiles between the bins of each feature; of a constant feature all are the same."""
    shares = np.arange(1, bins) / bins
    return np.ascontiguousarray(np.quantile(features.astype(np.float64), shares, axis=0).T)


def strongest(examples: Examples, most: int) -> Int64[np.ndarray, " F"]:
    """Return the features whose means differ most between classes against their spread within (ANOVA's F)."""
    rows = examples.features.astype(np.float64)
    counts = np.bincount(examples.labels, minlength=examples.num_classes)
    means = np.stack([rows[examples.labels == label].mean(axis=0) for label in range(examples.num_classes)])
    between = (counts[:, None] * np.square(means - rows.mean(axis=0))).sum(axis=0)
    within = np.square(rows - means[examples.labels]).sum(axis=0)
    ratio = np.divide(between, within, out=np.where(between > 0, np.inf, 0.0), where=within > 0)
    return np.sort(np.argsort(-ratio, kind="stable")[:most]).astype(np.int64)


def _bins(features: NDArray[np.float32], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    codes = np.empty(features.shape, np.int64)
    for column, cuts in enumerate(edges):
        codes[:, column] = np.searchsorted(cuts, features[:, column].astype(np.float64), side="left")
    return codes


def _one_hot(codes: NDArray[np.int64], bins: int) -> Any:
    from scipy import sparse  # noqa: PLC0415 - takes long to import

    rows, columns = codes.shape
    place = (codes + np.arange(columns) * bins).ravel()
    stops = np.arange(rows + 1) * columns
    return sparse.csr_matrix((np.ones(len(place)), place, stops), shape=(rows, columns * bins))


def _crossed(codes: NDArray[np.int64], picked: NDArray[np.int64], bins: int) -> Any:
    from scipy import sparse  # noqa: PLC0415 - the same

    plain = _one_hot(codes, bins)
    pairs = list(combinations(picked.tolist(), 2))
    if not pairs:
        return plain
    first, second = np.array(pairs).T
    return sparse.hstack([plain, _one_hot(codes[:, first] * bins + codes[:, second], bins**2)], format="csr")


def _solved(columns: Any, examples: Examples, cost: float | None) -> dict[str, NDArray[np.float64]]:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - takes a second to import

    solver = LogisticRegression(C=cost or 1.0, max_iter=MAX_STEPS)
    with patient():
        solver.fit(columns, examples.labels, sample_weights(examples))
    weight, bias = solver.coef_, solver.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([np.zeros_like(weight), weight]), np.concatenate([np.zeros_like(bias), bias])
    return {"weight": weight, "bias": bias}


def _binned_margins(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    edges = arrays["edges"]
    columns = _one_hot(_bins(features, edges), edges.shape[1] + 1)
    return np.asarray(columns @ arrays["weight"].T + arrays["bias"])


def _crossed_margins(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    edges = arrays["edges"]
    columns = _crossed(_bins(features, edges), arrays["picked"], edges.shape[1] + 1)
    return np.asarray(columns @ arrays["weight"].T + arrays["bias"])


def _faults(arrays: Arrays, sizes: Sizes) -> str:
    bins = sizes["E"] + 1
    width = sizes["d"] * bins
    if "picked" in arrays:
        picked = arrays["picked"]
        if len(picked) and (picked.min() < 0 or picked.max() >= sizes["d"]):
            return f"picked must be features, 0 to {sizes['d'] - 1}."
        width += len(picked) * (len(picked) - 1) // 2 * bins**2
    return "" if sizes["W"] == width else f"weight must have {width} columns, one for each bin; got {sizes['W']}."


_ARRAYS: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "edges": ("f", ("d", "E")),
    "weight": ("f", ("P", "W")),
    "bias": ("f", ("P",)),
}
BINNED = Predictor(schema=Schema(arrays=_ARRAYS, faults=_faults), margins=_binned_margins, probs=softmax)
CROSSED = Predictor(
    schema=Schema(arrays={**_ARRAYS, "picked": ("i", ("F",))}, faults=_faults), margins=_crossed_margins, probs=softmax
)
