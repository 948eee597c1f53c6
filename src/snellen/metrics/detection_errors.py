"""What goes wrong in detection, image by image, at the chosen scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from snellen.metrics.acuity import Acuity, acuity
from snellen.metrics.matching import IGNORED, NOTHING
from snellen.metrics.operating import ImageMatches, OperatingPoint
from snellen.structures import ImageScore, Matrix, Table

__all__ = [
    "BACKGROUND",
    "ErrorCounts",
    "confusion_matrix_of_objects",
    "count_errors",
    "image_score",
    "object_acuity",
]

BACKGROUND = "(background)"  # row: nothing was there; column: nothing was found
NEAR = 0.1  # overlap from which a wrong box counts as badly placed rather than as invented; Bolya et al. 2020


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorCounts:
    """Errors of believed detections over all images.

    Attributes:
        confusion: Truths (rows) against detections (columns); the last row and column are the background.
        correct: Detections that found a truth of their class.
        wrong_class: On a truth of another class that nobody found.
        duplicate: On a truth of their class that a better detection had found.
        localisation: Near a truth of their class, but not near enough.
        background: Near nothing of their class, on nothing of another.
        missed: Truths that no believed detection of their class found, those under a wrong class included.
    """

    confusion: Int64[np.ndarray, "k k"]
    correct: int
    wrong_class: int
    duplicate: int
    localisation: int
    background: int
    missed: int

    def table(self) -> Table:
        """The counts in words."""
        rows = (
            ("Correct", self.correct, "a detection that found a truth of its class"),
            ("Wrong class", self.wrong_class, "placed well on a truth of another class"),
            ("Localisation", self.localisation, "near a truth of its class, overlap too small"),
            ("Duplicate", self.duplicate, "a second detection of a truth already found"),
            ("Background", self.background, "nothing there"),
            ("Missed", self.missed, "a truth that no detection of its class found"),
        )
        return Table(
            title="Errors",
            columns=("Kind", "Count", "Meaning"),
            rows=rows,
            note="At the best score of each class.",
        )


def count_errors(
    matched: Sequence[ImageMatches], point: OperatingPoint, *, num_classes: int, iou_at_least: float
) -> ErrorCounts:
    """Sort every believed detection and every truth into the kinds of ``ErrorCounts``.

    Truths are first given to detections of their class (the rule of COCO), then what is left on both sides is
    paired regardless of class, largest overlap first. Ignored truths and what lies on them appear nowhere.

    Source:
        After Bolya et al. 2020 (TIDE), with one matching for all kinds in place of an oracle for each.
    """
    confusion = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    duplicates = near = invented = 0
    for image in matched:
        seen, counts = image.seen, point.believed(image.seen) & (image.found != IGNORED)
        right = np.flatnonzero(counts & (image.found >= 0))
        np.add.at(confusion, (seen.labels[right], seen.labels[right]), 1)
        lost = ~seen.true_ignored
        lost[image.found[right]] = False
        stray = counts & (image.found == NOTHING)
        for row, column in _pairs(image.overlaps, stray, lost, iou_at_least=iou_at_least):
            confusion[seen.true_labels[column], seen.labels[row]] += 1
            stray[row], lost[column] = False, False
        np.add.at(confusion, (seen.true_labels[lost], num_classes), 1)
        np.add.at(confusion, (num_classes, seen.labels[stray]), 1)
        twice, close = _placed(image, stray, iou_at_least=iou_at_least)
        duplicates += int(twice.sum())
        near += int(close.sum())
        invented += int((stray & ~twice & ~close).sum())
    correct = int(np.trace(confusion))
    return ErrorCounts(
        confusion=confusion,
        correct=correct,
        wrong_class=int(confusion[:-1, :-1].sum()) - correct,
        duplicate=duplicates,
        localisation=near,
        background=invented,
        missed=int(confusion[:-1].sum()) - correct,
    )


def _pairs(
    overlaps: np.ndarray, rows: np.ndarray, columns: np.ndarray, *, iou_at_least: float
) -> list[tuple[int, int]]:
    """Pair rows with columns one to one, largest overlap first."""
    open_pairs = np.where(rows[:, None] & columns[None, :], overlaps, -1.0)
    pairs = []
    while open_pairs.size and open_pairs.max() >= iou_at_least:
        row, column = np.unravel_index(open_pairs.argmax(), open_pairs.shape)
        pairs.append((int(row), int(column)))
        open_pairs[row], open_pairs[:, column] = -1.0, -1.0
    return pairs


def _placed(image: ImageMatches, stray: np.ndarray, *, iou_at_least: float) -> tuple[np.ndarray, np.ndarray]:
    """Stray detections on a found truth of their class, and those merely near a truth of their class."""
    if image.overlaps.size == 0:
        return np.zeros_like(stray), np.zeros_like(stray)
    same = (image.seen.labels[:, None] == image.seen.true_labels[None, :]) & ~image.seen.true_ignored
    best = np.where(same, image.overlaps, 0.0).max(axis=1)
    twice = stray & (best >= iou_at_least)
    return twice, stray & ~twice & (best >= NEAR)


def confusion_matrix_of_objects(counts: ErrorCounts, classes: Sequence[str]) -> Matrix:
    """The confusion of ``count_errors`` with the names of the classes."""
    names = (*classes, BACKGROUND)
    return Matrix(
        title="Confusion",
        row_names=names,
        column_names=names,
        values=tuple(tuple(float(value) for value in row) for row in counts.confusion),
        note="Truth in rows, detections in columns, at the best score of each class. "
        "Last column: missed. Last row: found where nothing is.",
    )


def image_score(index: int, image: ImageMatches, point: OperatingPoint) -> ImageScore:
    """F1 of one image at the chosen scores, and the mean of 1 − score over its detections, by their scores.

    An image with nothing to find and nothing found has quality 1. One without detections has uncertainty 0.
    """
    counts = point.believed(image.seen) & (image.found != IGNORED)
    right = int((counts & (image.found >= 0)).sum())
    total = int(counts.sum()) + int((~image.seen.true_ignored).sum())
    scores = image.seen.scores
    weight = float(scores.sum())
    unsure = float((scores * (1 - scores)).sum()) / weight if weight > 0 else 0.0
    return ImageScore(index=index, quality=2 * right / total if total else 1.0, uncertainty=min(max(unsure, 0.0), 1.0))


def object_acuity(matched: Sequence[ImageMatches], point: OperatingPoint) -> Acuity:
    """Recall by height of the truth's box, at the chosen scores, and the acuity that follows."""
    heights: list[Float64[np.ndarray, " m"]] = [np.zeros(0)]
    recognised: list[Bool[np.ndarray, " m"]] = [np.zeros(0, bool)]
    for image in matched:
        hit = np.zeros(len(image.seen.true_labels), bool)
        hit[image.found[point.believed(image.seen) & (image.found >= 0)]] = True
        wanted = ~image.seen.true_ignored
        heights.append((image.seen.true_boxes[:, 3] - image.seen.true_boxes[:, 1])[wanted])
        recognised.append(hit[wanted])
    return acuity(np.concatenate(heights), np.concatenate(recognised))
