"""What each kind of error of a detector costs: the average precision that mending it alone would give back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float64, Int64

from snellen.metrics.detection_errors import NEAR
from snellen.metrics.intervals import RESAMPLES, image_draws, interval_ends
from snellen.metrics.matching import IGNORED
from snellen.metrics.operating import ImageMatches

__all__ = ["DetectionErrors", "ErrorCost", "ErrorKind", "error_costs", "mended_precision", "sort_errors"]

RECALLS = np.linspace(0.0, 1.0, 101)  # pycocotools' Params.recThrs
MOST_DETECTIONS = 100  # of an image and a class, pycocotools' Params.maxDets
LEAST_RESAMPLES = 100
_MOST_WORK = 40_000_000  # detections times draws; more draws than fit are not made
_ROWS_AT_ONCE = 4_000_000  # numbers of an array that are held at one time


class ErrorKind(StrEnum):
    """How a detection is wrong, or what is missing."""

    CLASS = "class"  # well placed on a truth of another class
    PLACE = "place"  # near a truth of its class, not near enough
    BOTH = "both"  # near a truth of another class only
    DUPLICATE = "duplicate"  # on a truth that a better detection has found
    BACKGROUND = "background"  # near nothing
    MISSED = "missed"  # a truth near which no detection could be mended


_RIGHT = ""  # in the place of a kind
_DROPPED = -1  # label of a detection that mending takes away


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectionErrors:
    """Every detection that counts, of all images, with what is wrong with it.

    ``n`` detections, ``i`` images, ``k`` classes.

    Attributes:
        images: Position of the image of each detection.
        rows: Of the detection in its image.
        scores: Of the detections.
        labels: Of the detections.
        kinds: Values of ``ErrorKind``; empty for those that are right.
        truths: Row of the truth, in its image, that a detection found, or that it would find if it were mended; -1 for
            none.
        mended: Label under which a detection is right once its kind is mended; -1 where mending takes it away.
        wanted: Truths of each image and class, ignored ones left out.
        missed: Those that no detection could be mended to find.
    """

    images: Int64[np.ndarray, " n"]
    rows: Int64[np.ndarray, " n"]
    scores: Float64[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    kinds: np.ndarray
    truths: Int64[np.ndarray, " n"]
    mended: Int64[np.ndarray, " n"]
    wanted: Int64[np.ndarray, "i k"]
    missed: Int64[np.ndarray, "i k"]

    def count(self, kind: ErrorKind) -> int:
        """Return how many errors of a kind there are."""
        return int(self.missed.sum()) if kind is ErrorKind.MISSED else int((self.kinds == kind.value).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCost:
    """What one kind of error costs.

    Attributes:
        count: Errors of the kind.
        cost: Average precision at the overlap of the matching, 0..1, that mending them alone would give back.
        low: End of its 95 % bootstrap interval over images; nan with fewer than two images.
        high: The other end.
    """

    count: int
    cost: float
    low: float
    high: float


def sort_errors(matched: Sequence[ImageMatches], *, num_classes: int, iou_at_least: float) -> DetectionErrors:
    """Sort every detection into the kinds of ``ErrorKind``, and find the truths that nothing could be mended to find.

    Args:
        matched: As ``match_images`` returns them.
        num_classes: K.
        iou_at_least: Overlap that they were matched at.

    Source:
        Bolya, Foley, Hays and Hoffman 2020, TIDE, sections 3.1 and 3.2, https://arxiv.org/abs/2008.08115. A mended
        detection finds the truth it is nearest to; of several the best does and the others are taken away (section
        3.3), as in its program (tidecv 1.0.1).
    """
    parts = [_sorted_image(image, iou_at_least) for image in matched]
    counts = [len(part[0]) for part in parts]

    def joined(place: int, kind: type) -> np.ndarray:
        return np.concatenate([np.zeros(0, kind), *(part[place] for part in parts)])

    return DetectionErrors(
        images=np.repeat(np.arange(len(parts)), counts),
        rows=joined(0, np.int64),
        scores=np.concatenate(
            [np.zeros(0), *(image.seen.scores[part[0]] for image, part in zip(matched, parts, strict=True))]
        ),
        labels=np.concatenate(
            [np.zeros(0, np.int64), *(image.seen.labels[part[0]] for image, part in zip(matched, parts, strict=True))]
        ),
        kinds=np.concatenate([np.zeros(0, "<U10"), *(part[1] for part in parts)]),
        truths=joined(2, np.int64),
        mended=joined(3, np.int64),
        wanted=np.array([_counted(image, None, num_classes) for image in matched], np.int64).reshape(-1, num_classes),
        missed=np.array(
            [_counted(image, part[4], num_classes) for image, part in zip(matched, parts, strict=True)], np.int64
        ).reshape(-1, num_classes),
    )


def _counted(image: ImageMatches, chosen: np.ndarray | None, num_classes: int) -> np.ndarray:
    of = ~image.seen.true_ignored if chosen is None else chosen
    return np.bincount(image.seen.true_labels[of], minlength=num_classes)


def _sorted_image(
    image: ImageMatches, iou_at_least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return rows of detections that count, their kinds, truths and mended labels, and which truths are missed."""
    seen = image.seen
    rows = _first_of_each_class(seen.labels, np.flatnonzero(image.found != IGNORED))
    wanted = ~seen.true_ignored
    found = image.found[rows]
    taken = np.zeros(len(seen.true_labels), bool)
    taken[found[found >= 0]] = True
    overlaps = np.where(wanted, image.overlaps[rows], 0.0)
    if not overlaps.shape[1]:
        kinds = np.where(found >= 0, _RIGHT, ErrorKind.BACKGROUND.value).astype("<U10")
        none = np.full(len(rows), -1)
        return rows, kinds, none, none, wanted
    same = seen.labels[rows][:, None] == seen.true_labels[None, :]
    own, other = np.where(same, overlaps, 0.0), np.where(same, 0.0, overlaps)
    right = found >= 0
    kinds = np.select(
        [
            right,
            (own.max(1) >= NEAR) & (own.max(1) < iou_at_least),
            other.max(1) >= iou_at_least,
            np.where(taken, own, 0.0).max(1) >= iou_at_least,
            overlaps.max(1) < NEAR,
        ],
        [
            _RIGHT,
            *(kind.value for kind in (ErrorKind.PLACE, ErrorKind.CLASS, ErrorKind.DUPLICATE, ErrorKind.BACKGROUND)),
        ],
        ErrorKind.BOTH.value,
    ).astype("<U10")
    near = np.where(kinds == ErrorKind.PLACE.value, own.argmax(1), other.argmax(1))
    mendable = np.isin(kinds, (ErrorKind.PLACE.value, ErrorKind.CLASS.value)) & ~taken[near]
    best = np.zeros(len(rows), bool)
    candidates = np.flatnonzero(mendable)  # the best score first
    best[candidates[np.unique(near[candidates], return_index=True)[1]]] = True
    mended = np.where(best, seen.true_labels[near], _DROPPED)
    truths = np.where(right, found, np.where(mendable, near, -1))
    reachable = taken.copy()
    reachable[near[candidates]] = True
    return rows, kinds, truths, mended, wanted & ~reachable


def _first_of_each_class(labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Leave out what is beyond the most detections of a class; rows stand best first."""
    if len(rows) <= MOST_DETECTIONS:
        return rows
    order = np.argsort(labels[rows], kind="stable")
    ordered = labels[rows][order]
    rank = np.arange(len(rows)) - np.searchsorted(ordered, ordered)
    return np.sort(rows[order[rank < MOST_DETECTIONS]])


def mended_precision(
    errors: DetectionErrors,
    kind: ErrorKind | None = None,
    weights: Float64[np.ndarray, "draws i"] | None = None,
) -> Float64[np.ndarray, " draws"]:
    """Return the mean average precision over the classes that have truths, were one kind of error mended.

    Args:
        errors: Sorted.
        kind: That is mended; None for what it is.
        weights: How often each image counts, one row for each draw; every image once if None.

    Returns:
        COCO's 101-point precision at the overlap of the matching, one for each draw; nan without truths.

    Source:
        Bolya et al. 2020, section 3.3. Differs where every truth of a class is missed: mending gives it a precision of
        1, and there is no curve to stretch.
    """
    drawn = np.ones((1, len(errors.wanted))) if weights is None else weights
    labels, hits, kept = errors.labels.copy(), errors.kinds == _RIGHT, np.ones(len(errors.labels), bool)
    if kind is not None and kind is not ErrorKind.MISSED:
        chosen = errors.kinds == kind.value
        kept = ~chosen | (errors.mended != _DROPPED)
        labels[chosen & kept], hits[chosen & kept] = errors.mended[chosen & kept], True
    left = errors.wanted - errors.missed if kind is ErrorKind.MISSED else errors.wanted
    order = np.argsort(-errors.scores, kind="stable")
    order = order[kept[order]]
    total, found = drawn @ errors.wanted, drawn @ left  # draws, classes
    values = np.full(total.shape, np.nan)
    for label in np.flatnonzero(errors.wanted.any(0)):
        own = order[labels[order] == label]
        precision = _precision(hits[own], errors.images[own], drawn, found[:, label])
        values[:, label] = np.where(total[:, label] > 0, precision, np.nan)
    known = ~np.isnan(values)
    sums = np.where(known, values, 0.0).sum(1)
    return np.where(known.any(1), sums / np.maximum(known.sum(1), 1), np.nan)


def _precision(hits: np.ndarray, images: np.ndarray, weights: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the 101-point average precision of one class for each draw; detections stand best first."""
    values = np.where(wanted > 0, 0.0, 1.0)
    if not len(hits):
        return values
    step = max(1, _ROWS_AT_ONCE // len(hits))
    for start in range(0, len(weights), step):
        part = slice(start, start + step)
        share = weights[part][:, images]
        true = np.cumsum(share * hits, axis=1)
        all_of = np.cumsum(share, axis=1)
        precision = true / np.maximum(all_of, np.finfo(float).tiny)
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = true / np.maximum(wanted[part], 1e-12)[:, None]
        # One search for all draws: the recalls of draw d lie in 2d .. 2d + 1.
        shift = 2.0 * np.arange(len(recall))[:, None]
        ends = np.minimum(recall, 1.0) + shift
        places = np.searchsorted(ends.ravel(), (RECALLS + shift).ravel()).reshape(len(recall), -1)
        places -= np.arange(len(recall))[:, None] * recall.shape[1]
        read = np.take_along_axis(precision, np.minimum(places, precision.shape[1] - 1), axis=1)
        reached = np.where(places < precision.shape[1], read, 0.0).mean(1)
        values[part] = np.where(wanted[part] > 0, reached, 1.0)
    return values


def error_costs(
    errors: DetectionErrors, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[ErrorCost, Mapping[ErrorKind, ErrorCost]]:
    """Return the average precision, as an ``ErrorCost`` whose count is that of the truths, and the cost of each kind.

    Args:
        errors: Sorted.
        resamples: Draws of images with replacement; fewer, but at least 100, where there are very many detections.
        seed: Of the draws.

    Source:
        Bolya et al. 2020; intervals: percentiles, Efron and Tibshirani 1993, section 13.3.
    """
    num_images = len(errors.wanted)
    plain = float(mended_precision(errors)[0])
    kinds = {kind: float(mended_precision(errors, kind)[0]) - plain for kind in ErrorKind}
    ends: dict[ErrorKind | None, tuple[float, float]] = dict.fromkeys([None, *ErrorKind], (float("nan"), float("nan")))
    if num_images > 1:
        draws = max(LEAST_RESAMPLES, min(resamples, _MOST_WORK // max(len(errors.scores), 1)))
        weights = image_draws(num_images, draws, seed=seed)
        base = mended_precision(errors, None, weights)
        ends[None] = interval_ends(base)
        for kind in ErrorKind:
            ends[kind] = (
                interval_ends(mended_precision(errors, kind, weights) - base) if errors.count(kind) else (0.0, 0.0)
            )
    total = ErrorCost(count=int(errors.wanted.sum()), cost=plain, low=ends[None][0], high=ends[None][1])
    return total, {
        kind: ErrorCost(count=errors.count(kind), cost=max(cost, 0.0), low=ends[kind][0], high=ends[kind][1])
        for kind, cost in kinds.items()
    }
