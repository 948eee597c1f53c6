"""The score from which a detection is believed, and what the detector does when believed from there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from snellen.metrics.average_precision import ranked_curve
from snellen.metrics.matching import IGNORED, coco_matches
from snellen.metrics.objects import ImageObjects

__all__ = [
    "SCORE_GRID",
    "ImageMatches",
    "OperatingPoint",
    "Ranking",
    "match_images",
    "operating_point",
    "rank",
]

SCORE_GRID = np.linspace(0.0, 1.0, 101)  # scores at which F1 curves are drawn
FALLBACK_SCORE = 0.5  # where no truth exists from which a better one could be learnt


class ImageMatches(NamedTuple):
    """One image with its overlaps and what each detection found (see ``coco_matches``)."""

    seen: ImageObjects
    overlaps: Float64[np.ndarray, "n m"]
    found: Int64[np.ndarray, " n"]


def match_images(images: Sequence[ImageObjects], *, iou_at_least: float) -> list[ImageMatches]:
    """Match every image by the rule of COCO at one overlap."""
    matched = []
    for seen in images:
        overlaps = seen.overlaps()
        matched.append(ImageMatches(seen, overlaps, coco_matches(seen, overlaps, iou_at_least=iou_at_least)))
    return matched


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """All detections that count, of all images, and how many truths each class has.

    Attributes:
        scores: Of the detections.
        labels: Of the detections.
        hits: True where a truth was found.
        num_wanted: Truths of each class, ignored ones left out.
    """

    scores: Float64[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    hits: Bool[np.ndarray, " n"]
    num_wanted: Int64[np.ndarray, " num_classes"]

    @classmethod
    def of(cls, images: Sequence[ImageObjects], found: Sequence[np.ndarray], *, num_classes: int) -> "Ranking":
        """Gather matched images; detections on ignored truths are left out."""
        keep = [matches != IGNORED for matches in found]
        empty = np.zeros(0)
        num_wanted = np.zeros(num_classes, np.int64)
        for image in images:
            num_wanted += np.bincount(image.true_labels[~image.true_ignored], minlength=num_classes)
        return cls(
            scores=np.concatenate([empty, *(i.scores[k] for i, k in zip(images, keep, strict=True))]),
            labels=np.concatenate([empty, *(i.labels[k] for i, k in zip(images, keep, strict=True))]).astype(np.int64),
            hits=np.concatenate([empty, *(m[k] >= 0 for m, k in zip(found, keep, strict=True))]).astype(bool),
            num_wanted=num_wanted,
        )


def rank(matched: Sequence[ImageMatches], *, num_classes: int) -> Ranking:
    """Gather what ``match_images`` returned."""
    return Ranking.of([image.seen for image in matched], [image.found for image in matched], num_classes=num_classes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OperatingPoint:
    """The best score for each class, and precision, recall and F1 there.

    Attributes:
        thresholds: Lowest score that is believed; the overall one for classes without truth or detection.
        precision: nan for a class without truth.
        recall: nan for a class without truth.
        f1: nan for a class without truth.
        f1_curves: F1 over ``SCORE_GRID``.
        overall: The one score at which the mean F1 over the classes with truth is highest.
    """

    thresholds: Float64[np.ndarray, " num_classes"]
    precision: Float64[np.ndarray, " num_classes"]
    recall: Float64[np.ndarray, " num_classes"]
    f1: Float64[np.ndarray, " num_classes"]
    f1_curves: Float64[np.ndarray, "num_classes 101"]
    overall: float

    def believed(self, seen: ImageObjects) -> Bool[np.ndarray, " n"]:
        """True for the detections of an image at or above the score of their class."""
        return np.asarray(seen.scores >= self.thresholds[seen.labels])


def operating_point(ranking: Ranking) -> OperatingPoint:
    """Choose, for each class, the score with the highest F1 (of several the highest score).

    Source:
        van Rijsbergen 1979 for F1; choosing its maximum over the score is common practice.
    """
    num_classes = len(ranking.num_wanted)
    best = np.full((4, num_classes), np.nan)  # threshold, precision, recall, F1
    curves = np.full((num_classes, len(SCORE_GRID)), np.nan)
    for label in range(num_classes):
        wanted = int(ranking.num_wanted[label])
        own = ranking.labels == label
        if wanted == 0:
            continue
        best[1:, label], curves[label] = 0.0, 0.0
        if not own.any():
            continue
        curve = ranked_curve(ranking.scores[own], ranking.hits[own], num_wanted=wanted)
        f1 = 2 * curve.precision * curve.recall / np.maximum(curve.precision + curve.recall, np.finfo(float).tiny)
        place = int(f1.argmax())
        best[:, label] = curve.thresholds[place], curve.precision[place], curve.recall[place], f1[place]
        # The curve stands at falling scores: as many of them as reach a threshold decide what happens there.
        reaching = np.searchsorted(-curve.thresholds, -SCORE_GRID, side="right")
        curves[label] = np.append(0.0, f1)[reaching]
    overall = FALLBACK_SCORE
    if (ranking.num_wanted > 0).any():
        overall = float(SCORE_GRID[np.nanmean(curves[ranking.num_wanted > 0], axis=0).argmax()])
    thresholds = np.where(np.isnan(best[0]), overall, best[0])
    return OperatingPoint(
        thresholds=thresholds,
        precision=best[1],
        recall=best[2],
        f1=best[3],
        f1_curves=curves,
        overall=overall,
    )
