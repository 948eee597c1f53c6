"""Objects and their classes at once: panoptic quality, and masks of objects as maps of classes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from faster_coco_eval import mask as mask_codec
from jaxtyping import Bool, Float64, Int64

from snellen.errors import InputError, ShapeError
from snellen.metrics.objects import ImageObjects
from snellen.structures import IGNORE_LABEL

__all__ = [
    "PanopticCounts",
    "PanopticFigures",
    "Segments",
    "added",
    "class_map",
    "panoptic_counts",
    "panoptic_figures",
    "segments_of_objects",
]

MATCH_IOU = 0.5  # above it no segment has two partners; Kirillov et al. 2019, section 4.1
VOID_SHARE = 0.5  # of a wrong segment from which it is forgiven; Kirillov et al. 2019, section 4.2
LEFT_SHARE = (
    0.5  # of a mask that better ones must leave, or it is dropped; Kirillov et al. 2019, appendix (PQ of machines)
)


class Segments(NamedTuple):
    """Parts of an image that do not overlap.

    Attributes:
        ids: 0 for no segment, else one more than its row in ``labels``; ``[height, width]``.
        labels: 0..K-1, or ``IGNORE_LABEL`` for a part of which nothing is known.
        crowds: Whether a segment is a crowd: not wanted, but what is found in it is no error.
    """

    ids: Int64[np.ndarray, "height width"]
    labels: Int64[np.ndarray, " n"]
    crowds: Bool[np.ndarray, " n"]


class PanopticCounts(NamedTuple):
    """Of each class; those of several images may be added."""

    overlaps: Float64[np.ndarray, " num_classes"]
    matched: Int64[np.ndarray, " num_classes"]
    wrong: Int64[np.ndarray, " num_classes"]
    missed: Int64[np.ndarray, " num_classes"]


class PanopticFigures(NamedTuple):
    """Of each class; nan for a class with neither truth nor prediction."""

    quality: Float64[np.ndarray, " num_classes"]
    segmentation: Float64[np.ndarray, " num_classes"]
    recognition: Float64[np.ndarray, " num_classes"]


def panoptic_counts(truth: Segments, found: Segments, *, num_classes: int) -> PanopticCounts:
    """Match segments of one class that overlap by more than half, and count what is left.

    Pixels of which nothing is known count in no overlap; a wrong segment most of which lies in them, or in a crowd of
    its class, is forgiven.

    Raises:
        ShapeError: If the two maps differ in size.

    Source:
        Kirillov et al. 2019, Panoptic segmentation, section 4, https://arxiv.org/abs/1801.00868.
    """
    if truth.ids.shape != found.ids.shape:
        raise ShapeError(f"both maps of segments must have one size; got {truth.ids.shape} and {found.ids.shape}.")
    num_true, num_found = len(truth.labels), len(found.labels)
    pairs = truth.ids.astype(np.int64) * (num_found + 1) + found.ids
    shared = np.bincount(pairs.ravel(), minlength=(num_true + 1) * (num_found + 1)).reshape(num_true + 1, -1)
    true_areas, found_areas = shared[1:].sum(axis=1), shared[:, 1:].sum(axis=0)
    inner = shared[1:, 1:]
    unknown = inner[truth.labels == IGNORE_LABEL].sum(axis=0)
    same = truth.labels[:, None] == found.labels[None, :]
    overlaps = inner / np.maximum(true_areas[:, None] + (found_areas - unknown)[None, :] - inner, 1)
    is_match = same & (overlaps > MATCH_IOU) & ~truth.crowds[:, None]
    in_crowd = (inner * (same & truth.crowds[:, None])).sum(axis=0)
    is_forgiven = unknown + in_crowd > VOID_SHARE * found_areas
    rows, columns = np.nonzero(is_match)
    wanted = ~truth.crowds & (truth.labels != IGNORE_LABEL) & (true_areas > 0)
    is_wrong = ~is_match.any(axis=0) & ~is_forgiven & (found_areas > 0)
    matched = _counted(truth.labels[rows], num_classes)
    return PanopticCounts(
        overlaps=np.bincount(truth.labels[rows], overlaps[rows, columns], minlength=num_classes),
        matched=matched,
        wrong=_counted(found.labels[is_wrong], num_classes),
        missed=_counted(truth.labels[wanted & ~is_match.any(axis=1)], num_classes),
    )


def panoptic_figures(counts: PanopticCounts) -> PanopticFigures:
    """Return panoptic quality, and its two factors: how well matched segments fit, and how many are matched.

    Source:
        Kirillov et al. 2019, equations 1 and 2.
    """
    halves = counts.matched + 0.5 * counts.wrong + 0.5 * counts.missed
    known = halves > 0
    recognition = np.where(known, counts.matched / np.maximum(halves, 0.5), np.nan)
    fit = np.where(counts.matched > 0, counts.overlaps / np.maximum(counts.matched, 1), np.where(known, 0.0, np.nan))
    return PanopticFigures(quality=fit * recognition, segmentation=fit, recognition=recognition)


def segments_of_objects(
    image: ImageObjects, thresholds: Float64[np.ndarray, " num_classes"]
) -> tuple[Segments, Segments]:
    """Return the truth and the detections of an image as segments that do not overlap.

    Of true objects the smaller lies in front. Of detections only those at or above the threshold of their class count;
    the better one lies in front, and one of which others leave less than half is dropped.

    Args:
        image: With masks of truths and detections.
        thresholds: Least score of each class.

    Returns:
        Truth and detections.

    Raises:
        InputError: If there are no masks.
    """
    if image.size is None or image.true_masks is None or image.masks is None:
        raise InputError("masks of truths and of detections were expected; there are none. Measure boxes instead.")
    truths, masks, size = image.true_masks, image.masks, image.size
    order = np.argsort(-np.array([int(mask_codec.area([mask])[0]) for mask in truths], dtype=np.int64), kind="stable")
    ids = np.zeros(size, np.int64)
    for row in order.tolist():
        ids[_decoded(truths[row])] = row + 1
    truth = Segments(ids=ids, labels=image.true_labels, crowds=image.true_ignored)
    sure = np.flatnonzero(image.scores >= thresholds[image.labels]) if len(image.labels) else np.zeros(0, np.int64)
    found = np.zeros(size, np.int64)
    kept: list[int] = []
    for row in sure.tolist():  # best first
        mask = _decoded(masks[row])
        left = mask & (found == 0)
        if left.sum() >= max(1, LEFT_SHARE * mask.sum()):
            kept.append(row)
            found[left] = len(kept)
    labels = image.labels[np.array(kept, np.int64)]
    return truth, Segments(ids=found, labels=labels, crowds=np.zeros(len(kept), bool))


def class_map(segments: Segments) -> np.ndarray:
    """Return the class of every pixel: 0 where no segment is, else one more than the label; crowds are ignored."""
    codes = np.where(segments.crowds | (segments.labels == IGNORE_LABEL), IGNORE_LABEL, segments.labels + 1)
    return np.asarray(np.concatenate([[0], codes]).astype(np.uint8)[segments.ids])


def added(counts: Sequence[PanopticCounts], num_classes: int) -> PanopticCounts:
    """Return the counts of several images as one."""
    none = PanopticCounts(np.zeros(num_classes), *(np.zeros(num_classes, np.int64) for _ in range(3)))
    return PanopticCounts(*(np.sum(parts, axis=0) for parts in zip(none, *counts, strict=True)))


def _decoded(mask: dict[str, object]) -> np.ndarray:
    return np.asarray(mask_codec.decode([mask]))[..., 0] > 0


def _counted(labels: np.ndarray, num_classes: int) -> np.ndarray:
    return np.bincount(labels, minlength=num_classes).astype(np.int64)
