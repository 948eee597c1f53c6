"""Clusters of colours: k-means and mean shift.

Shapes: n points, d numbers of each, k clusters.
"""

import warnings

import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8
from numpy.typing import NDArray

from snellen.errors import InputError
from snellen.imaging.segmentation.channels import smoothed_lab

__all__ = ["kmeans_regions", "mean_shift_clusters", "mean_shift_regions"]

_FIT_ON = 10_000  # pixels from which the centres are found; all are then assigned
_STARTS = 3  # of k-means, which ends in local optima
_BINS_PER_BANDWIDTH = 3  # mean shift moves the bins of a histogram, not pixels
_MOST_SHIFTS = 300
_AT_ONCE = 2**22  # distances held at once


def kmeans_regions(
    image: UInt8[np.ndarray, "height width 3"],
    clusters: int,
    *,
    sigma_px: float = 0.0,
    place_weight: float = 0.0,
    seed: int = 0,
) -> Int32[np.ndarray, "height width"]:
    """Return the cluster of each pixel's colour in CIE L*a*b*, the darkest first.

    Args:
        image: RGB.
        clusters: How many; an image of fewer colours gets as many as it has.
        sigma_px: Of the Gaussian before.
        place_weight: What the width of the image counts, in levels; 0 for colour alone.
        seed: Of the first centres, and of the pixels that they are found from.

    Source:
        MacQueen 1967; Lloyd 1982; first centres: Arthur and Vassilvitskii 2007. Through scikit-learn.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415 - takes long to import
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - the same

    points = _points(image, sigma_px, place_weight)
    generator = np.random.default_rng(seed)
    some = points if len(points) <= _FIT_ON else points[generator.choice(len(points), _FIT_ON, replace=False)]
    number = min(clusters, len(np.unique(some, axis=0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer clusters than asked for are told by the result
        fitted = KMeans(number, n_init=_STARTS, random_state=seed).fit(some)
    order = np.argsort(np.argsort(fitted.cluster_centers_[:, 0], kind="stable"))
    return np.asarray(order[fitted.predict(points)], dtype=np.int32).reshape(image.shape[:2])


def _points(image: NDArray[np.uint8], sigma_px: float, place_weight: float) -> Float32[np.ndarray, "n d"]:
    height, width = image.shape[:2]
    colours = smoothed_lab(image, sigma_px).reshape(-1, 3)
    if not place_weight:
        return colours
    rows, columns = np.indices((height, width), dtype=np.float32) * np.float32(place_weight / width)
    return np.column_stack([colours, rows.ravel(), columns.ravel()])


def mean_shift_clusters(
    points: Float32[np.ndarray, "n d"] | Float64[np.ndarray, "n d"], weights: NDArray[np.floating], *, bandwidth: float
) -> tuple[Float64[np.ndarray, "k d"], Int32[np.ndarray, " n"]]:
    """Return the modes of a density, the densest first, and the mode to which each point climbs.

    Every point is moved to the weighted mean of what lies within the bandwidth around it until it stays. Ends that
    lie within a bandwidth of a denser one are the same mode.

    Args:
        points: Places.
        weights: How many there are at each place.
        bandwidth: Radius of the window, in the units of the points.

    Raises:
        InputError: If the bandwidth is not above 0.

    Source:
        Fukunaga and Hostetler 1975; Comaniciu and Meer 2002, "Mean shift: a robust approach toward feature space
        analysis", equation 17 with the Epanechnikov kernel, whose shift is the mean in a flat window.
    """
    if bandwidth <= 0:
        raise InputError(f"bandwidth must be above 0; got {bandwidth}.")
    places = points.astype(np.float64)
    ends, masses = places.copy(), np.zeros(len(places))
    moving = np.arange(len(places))
    for _ in range(_MOST_SHIFTS):
        means, masses[moving] = _window_means(ends[moving], places, weights, bandwidth)
        moved = np.linalg.norm(means - ends[moving], axis=1)
        ends[moving] = means
        moving = moving[moved > 1e-3 * bandwidth]
        if not len(moving):
            break
    order = np.lexsort((*ends.T[::-1], -masses))
    modes: list[NDArray[np.float64]] = []
    for place in ends[order]:
        if not modes or np.linalg.norm(np.array(modes) - place, axis=1).min() > bandwidth:
            modes.append(place)
    found = np.array(modes)
    nearest = _squared_distances(ends, found).argmin(axis=1)
    return found, nearest.astype(np.int32)


def _window_means(
    centres: NDArray[np.float64], places: NDArray[np.float64], weights: NDArray[np.floating], bandwidth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean around each centre, and the weight in its window."""
    means, masses = np.empty_like(centres), np.empty(len(centres))
    rows = max(1, _AT_ONCE // len(places))
    for start in range(0, len(centres), rows):
        part = np.s_[start : start + rows]
        window = np.where(_squared_distances(centres[part], places) <= bandwidth**2, weights, 0.0)
        masses[part] = window.sum(axis=1)
        filled = masses[part, None] > 0  # a window may be empty by the last bit of a distance
        means[part] = np.where(filled, window @ places / np.where(filled, masses[part, None], 1), centres[part])
    return means, masses


def _squared_distances(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    product = -2 * one @ other.T
    return np.asarray(product + np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1))


def mean_shift_regions(
    image: UInt8[np.ndarray, "height width 3"], bandwidth: float, *, sigma_px: float = 0.0
) -> Int32[np.ndarray, "height width"]:
    """Return the mode of the density of colours to which each pixel's colour climbs, the most frequent first.

    Colours (CIE L*a*b*) are put into bins of a third of the bandwidth, and the bins are moved.

    Args:
        image: RGB.
        bandwidth: Levels, on 0..255 of each channel.
        sigma_px: Of the Gaussian before.

    Source:
        See ``mean_shift_clusters``.
    """
    side = bandwidth / _BINS_PER_BANDWIDTH
    colours = smoothed_lab(image, sigma_px).reshape(-1, 3)
    cells, inverse, counts = np.unique(
        np.floor(colours / side).astype(np.int64), axis=0, return_inverse=True, return_counts=True
    )
    inverse = inverse.ravel()
    sums = np.stack([np.bincount(inverse, colours[:, channel], len(cells)) for channel in range(3)], axis=1)
    _, modes = mean_shift_clusters(sums / counts[:, None], counts.astype(np.float64), bandwidth=bandwidth)
    return modes[inverse].reshape(image.shape[:2])
