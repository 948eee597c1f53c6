"""How well borders are met: Boundary IoU and the boundary F-score, from maps of labels."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8
from scipy.spatial import KDTree

from snellen.ops import border_band
from snellen.structures import IGNORE_LABEL

__all__ = ["BandCounts", "band_counts", "band_width_px", "boundary_scores", "tolerance_px"]

BAND_SHARE = 0.02  # of the image's diagonal, on either side of a border; Cheng et al. 2021, section 5
TOLERANCE_SHARE = 0.0075  # of the image's diagonal; Csurka et al. 2013, section 2, as BSDS measures contours

LabelMap = UInt8[np.ndarray, "height width"]


class BandCounts(NamedTuple):
    """Pixels of the bands of each class."""

    both: Int64[np.ndarray, " num_classes"]
    either: Int64[np.ndarray, " num_classes"]


def band_width_px(size: tuple[int, int]) -> int:
    """Return how wide the band of Boundary IoU is on either side of a border, at least one pixel."""
    return max(1, round(BAND_SHARE * float(np.hypot(*size))))


def tolerance_px(size: tuple[int, int]) -> float:
    """Return how far from a border a border counts as found, at least one pixel."""
    return max(1.0, TOLERANCE_SHARE * float(np.hypot(*size)))


def band_counts(
    true_labels: LabelMap, pred_labels: LabelMap, *, num_classes: int, width_px: int | None = None
) -> BandCounts:
    """Count, for each class, the pixels that lie in the band within both of its masks, and in that within either.

    Their ratio is Boundary IoU. The band of a mask is what is nearer to its border than ``width_px``, and the image's
    edge is a border. Pixels that the truth ignores count for nothing and make no border.

    Args:
        true_labels: 0..K-1 or ``IGNORE_LABEL``.
        pred_labels: 0..K-1.
        num_classes: K.
        width_px: Of the band; ``band_width_px`` if None.

    Source:
        Cheng et al. 2021, Boundary IoU, equation 1, https://arxiv.org/abs/2103.16562. Distances are those of its
        program: squares, as repeated erosion by 3 × 3 gives them.
    """
    width = band_width_px((true_labels.shape[0], true_labels.shape[1])) if width_px is None else width_px
    truth, guess = _with_unknown(true_labels, pred_labels)
    true_band, pred_band = (_band(labels, width, with_edges=True) for labels in (truth, guess))
    agree = true_band & pred_band & (truth == guess)
    both, wanted, found = (
        np.bincount(labels, minlength=num_classes)[:num_classes].astype(np.int64)
        for labels in (truth[agree], truth[true_band], guess[pred_band])
    )
    return BandCounts(both=both, either=wanted + found - both)


def boundary_scores(
    true_labels: LabelMap, pred_labels: LabelMap, *, num_classes: int, tolerance: float | None = None
) -> Float64[np.ndarray, " num_classes"]:
    """Return the F-score of each class's contour: the harmonic mean of how much of it is found, and how much is right.

    The contour of a class is its pixels that touch another class, also at a corner; the image's edge is none. A point
    is met if the other contour has one within the tolerance.

    Args:
        true_labels: 0..K-1 or ``IGNORE_LABEL``, which makes no contour.
        pred_labels: 0..K-1.
        num_classes: K.
        tolerance: Distance in pixels; ``tolerance_px`` if None.

    Returns:
        0..1; 0 where only one of the two has a contour, nan where neither has.

    Source:
        Csurka et al. 2013, What is a good evaluation measure for semantic segmentation?, section 2; tolerance and
        matching by distance as in Martin et al. 2004 (BSDS), without its one-to-one assignment.
    """
    size = (true_labels.shape[0], true_labels.shape[1])
    within = tolerance_px(size) if tolerance is None else tolerance
    truth, guess = _with_unknown(true_labels, pred_labels)
    contours = [_contour(labels) for labels in (truth, guess)]
    scores = np.full(num_classes, np.nan)
    for label in range(num_classes):
        wanted, found = (points[values == label] for points, values in contours)
        if len(wanted) and len(found):
            recall, precision = _met(wanted, found, within), _met(found, wanted, within)
            scores[label] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        elif len(wanted) or len(found):
            scores[label] = 0.0
    return scores


def _with_unknown(true_labels: np.ndarray, pred_labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both maps with what the truth does not know ignored in either."""
    return true_labels, np.where(true_labels == IGNORE_LABEL, np.uint8(IGNORE_LABEL), pred_labels).astype(np.uint8)


def _band(labels: np.ndarray, width_px: int, *, with_edges: bool) -> np.ndarray:
    tensor = torch.from_numpy(np.ascontiguousarray(labels))
    return np.asarray(border_band(tensor, width_px=width_px, ignore=IGNORE_LABEL, with_edges=with_edges).numpy())


def _contour(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of all contours, [n, 2], and the label of each."""
    rows, columns = np.nonzero(_band(labels, 1, with_edges=False))
    return np.stack([rows, columns], axis=1), labels[rows, columns]


def _met(points: np.ndarray, others: np.ndarray, within: float) -> float:
    """Return the share of points that have one of the others within a distance."""
    distance, _ = KDTree(others).query(points, distance_upper_bound=np.nextafter(within, np.inf))
    return float(np.isfinite(distance).mean())
