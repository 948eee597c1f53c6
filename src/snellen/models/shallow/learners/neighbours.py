"""Classes told by the nearest of the training images.

Shapes: n images, m training images, d features, P classes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from snellen.imaging.tangent_distance import SMOOTHING_PX, tangent_distances, tangent_planes
from snellen.models.field_checks import AT_LEAST_ONE, POSITIVE, check_fields
from snellen.models.shallow.examples import Examples, Predictor, class_weights
from snellen.models.shallow.fitted import Arrays, Schema, Sizes

__all__ = [
    "NEIGHBOURS",
    "TANGENT_NEIGHBOURS",
    "KnnSettings",
    "TangentKnnSettings",
    "fit_knn",
    "fit_tangent_knn",
    "nearest",
]

_AT_ONCE = 512  # images compared with all training images at once


@dataclass(frozen=True, slots=True, kw_only=True)
class KnnSettings:
    """Of nearest neighbours.

    Attributes:
        k: Neighbours that vote; None to choose it.
    """

    k: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, k=AT_LEAST_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TangentKnnSettings:
    """Of nearest neighbours by tangent distance.

    Attributes:
        k: Neighbours that vote; None to choose it.
        candidates: Images, nearest by Euclidean distance, among which those nearest by tangent distance are sought.
        smoothing_px: Standard deviation of the Gaussian under which images are differentiated.
    """

    k: int | None = None
    candidates: int = 50
    smoothing_px: float = SMOOTHING_PX

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, k=AT_LEAST_ONE, candidates=AT_LEAST_ONE, smoothing_px=POSITIVE)


def nearest(
    features: Float32[np.ndarray, "n d"], examples: Float32[np.ndarray, "m d"], k: int
) -> Int64[np.ndarray, "n k"]:
    """Return the ``k`` nearest examples of each image by Euclidean distance, nearest first; all if there are fewer."""
    count = min(k, len(examples))
    square = np.square(examples).sum(axis=1) / 2
    parts = []
    for start in range(0, len(features), _AT_ONCE):
        far = square - features[start : start + _AT_ONCE] @ examples.T
        picked = np.argpartition(far, count - 1, axis=1)[:, :count]
        order = np.take_along_axis(far, picked, axis=1).argsort(axis=1, kind="stable")
        parts.append(np.take_along_axis(picked, order, axis=1))
    return np.concatenate(parts) if parts else np.zeros((0, count), np.int64)


def fit_knn(examples: Examples, settings: KnnSettings) -> Arrays:
    """Keep the images; nothing is solved for.

    Source:
        Cover and Hart 1967, https://doi.org/10.1109/TIT.1967.1053964. With balanced classes a vote counts the inverse
        of its class's frequency, so that frequent classes do not win by numbers.
    """
    return {
        "examples": examples.features,
        "labels": examples.labels,
        "votes": class_weights(examples),
        "k": np.array([settings.k or 1]),
    }


def _knn_votes(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    centre = arrays["examples"].mean(axis=0)  # distances are differences of squares, which are exact about the centre
    rows = nearest(features - centre, arrays["examples"] - centre, int(arrays["k"][0]))
    return _votes(arrays["labels"][rows], arrays["votes"])


def _votes(labels: Int64[np.ndarray, "n k"], weights: Float64[np.ndarray, " P"]) -> Float64[np.ndarray, "n P"]:
    votes = np.zeros((len(labels), len(weights)))
    np.add.at(votes, (np.arange(len(labels))[:, None], labels), weights[labels])
    return np.asarray(votes / votes.sum(axis=1, keepdims=True))


def fit_tangent_knn(examples: Examples, settings: TangentKnnSettings) -> Arrays:
    """Keep the images; their tangent planes are computed when they are needed.

    Source:
        Simard et al. 1998, https://doi.org/10.1007/3-540-49430-8_13, with its search in two stages.
    """
    return {
        "examples": examples.features,
        "labels": examples.labels,
        "votes": class_weights(examples),
        "k": np.array([settings.k or 1]),
        "candidates": np.array([settings.candidates]),
        "smoothing": np.array([settings.smoothing_px]),
    }


def _tangent_votes(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    known, k = arrays["examples"], int(arrays["k"][0])
    smoothing = float(arrays["smoothing"][0])
    points = tangent_planes(_as_images(features), smoothing_px=smoothing)
    # One Gaussian blurs both, so the order of the candidates is that of the smoothed images.
    stored = tangent_planes(_as_images(known), smoothing_px=smoothing).points
    rows = nearest(points.points, stored, max(k, int(arrays["candidates"][0])))
    used, place = np.unique(rows, return_inverse=True)
    planes = tangent_planes(_as_images(known[used]), smoothing_px=smoothing)
    far = tangent_distances(points, planes, place.reshape(rows.shape))
    order = far.argsort(axis=1, kind="stable")[:, :k]
    return _votes(arrays["labels"][np.take_along_axis(rows, order, axis=1)], arrays["votes"])


def _as_images(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows of pixels as ``[n, channels, side, side]``: grey or RGB."""
    channels, side = _channels_side(features.shape[1])
    return features.reshape(len(features), channels, side, side)


def _channels_side(num_features: int) -> tuple[int, int]:
    for channels in (1, 3):
        side = round((num_features / channels) ** 0.5)
        if channels * side**2 == num_features:
            return channels, side
    return 0, 0


def _faults(arrays: Arrays, sizes: Sizes) -> str:
    labels, k = arrays["labels"], arrays["k"][0]
    if not len(labels) or labels.min() < 0 or labels.max() >= sizes["P"]:
        return f"labels must be classes, 0 to {sizes['P'] - 1}; others are among them."
    if k < 1 or (arrays["votes"] <= 0).any():
        return f"k and the weights of votes must be above 0; got k = {k}."
    return ""


def _tangent_faults(arrays: Arrays, sizes: Sizes) -> str:
    if arrays["candidates"][0] < 1 or not arrays["smoothing"][0] > 0 or not _channels_side(sizes["d"])[0]:
        return "candidates and smoothing must be above 0, and examples square images."
    return _faults(arrays, sizes)


_STORED: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "examples": ("f", ("m", "d")),
    "labels": ("i", ("m",)),
    "votes": ("f", ("P",)),
    "k": ("i", (1,)),
}


def _as_they_are(votes: NDArray[np.float64]) -> NDArray[np.float64]:
    return votes


NEIGHBOURS = Predictor(schema=Schema(arrays=_STORED, faults=_faults), margins=_knn_votes, probs=_as_they_are)
TANGENT_NEIGHBOURS = Predictor(
    schema=Schema(
        arrays={**_STORED, "candidates": ("i", (1,)), "smoothing": ("f", (1,))},
        faults=_tangent_faults,
    ),
    margins=_tangent_votes,
    probs=_as_they_are,
)
