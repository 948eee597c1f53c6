"""What a detector found in the images that are looked at, and what each kind of error costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.results.evaluated import EvaluatedRun, typed_pairs
from snellen.doctor.words import Text
from snellen.metrics import (
    DetectionErrors,
    ErrorCost,
    ErrorKind,
    ImageMatches,
    ImageObjects,
    error_costs,
    match_images,
    sort_errors,
)
from snellen.ops import box_iou
from snellen.structures import BoxTarget, Detections

__all__ = ["CostOfErrors", "DetectedObjects", "WantedObjects", "cost_of_errors", "detected_objects", "wanted_objects"]

FOUND_IOU = 0.5  # overlap from which a box counts as found; Bolya et al. 2020, Everingham et al. 2010


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectedObjects:
    """Detections and truths of the images that are looked at, ``i`` of them.

    Attributes:
        rows: Of the part that is looked at, ``[i]``.
        matched: Images with their overlaps and what each detection found, at overlap 0.5.
        num_classes: K.
    """

    ABSENT = Text(en="the model predicts no boxes", zh="该模型不预测框")

    rows: Int64[np.ndarray, " i"]
    matched: tuple[ImageMatches, ...]
    num_classes: int

    @cached_property
    def errors(self) -> DetectionErrors:
        """Every detection with what is wrong with it."""
        return sort_errors(self.matched, num_classes=self.num_classes, iou_at_least=FOUND_IOU)


@dataclass(frozen=True, kw_only=True, eq=False)
class CostOfErrors:
    """Average precision at overlap 0.5, and what each kind of error takes from it.

    Attributes:
        precision: The average precision; its count is that of the truths.
        kinds: Costs.
    """

    ABSENT = DetectedObjects.ABSENT

    precision: ErrorCost
    kinds: Mapping[ErrorKind, ErrorCost]


@dataclass(frozen=True, kw_only=True, eq=False)
class WantedObjects:
    """One entry for each truth that counts, ``m`` of them.

    Attributes:
        images: Position of the image, ``[m]``.
        rows: Of the truth in its image, ``[m]``.
        labels: ``[m]``.
        boxes: xyxy in pixels, ``[m, 4]``.
        found: Whether any detection of its class finds it, whatever its score, ``[m]``.
        score: Of the detection that does, 0 for none, ``[m]``.
        neighbour: Largest overlap with another truth of its class, ``[m]``.
        shadow: Largest overlap with a detection that found another truth of its class, ``[m]``.
    """

    ABSENT = DetectedObjects.ABSENT

    images: Int64[np.ndarray, " m"]
    rows: Int64[np.ndarray, " m"]
    labels: Int64[np.ndarray, " m"]
    boxes: Float64[np.ndarray, "m 4"]
    found: Bool[np.ndarray, " m"]
    score: Float64[np.ndarray, " m"]
    neighbour: Float64[np.ndarray, " m"]
    shadow: Float64[np.ndarray, " m"]


def detected_objects(run: EvaluatedRun) -> DetectedObjects:
    """Return what a detector found in the images that are looked at.

    Raises:
        NotCheckable: If the run predicts something else.
    """
    if run.kind is not Detections:
        raise NotCheckable(DetectedObjects.ABSENT)
    rows, images = [], []
    for row, found, wanted in typed_pairs(run.looked_at, Detections, BoxTarget):
        rows.append(row)
        images.append(ImageObjects.of(found, wanted))
    return DetectedObjects(
        rows=np.array(rows, np.int64),
        matched=tuple(match_images(images, iou_at_least=FOUND_IOU)),
        num_classes=len(run.index.classes),
    )


def cost_of_errors(detected: DetectedObjects) -> CostOfErrors:
    """Return what each kind of error costs."""
    precision, kinds = error_costs(detected.errors)
    return CostOfErrors(precision=precision, kinds=kinds)


def wanted_objects(detected: DetectedObjects) -> WantedObjects:
    """Return the truths, whether each was found, and how near its neighbours are."""
    parts = [_of_image(place, image) for place, image in enumerate(detected.matched)]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.zeros(0)] * 8
    images, rows, labels, boxes, found, score, neighbour, shadow = columns
    return WantedObjects(
        images=images.astype(np.int64),
        rows=rows.astype(np.int64),
        labels=labels.astype(np.int64),
        boxes=boxes.reshape(-1, 4),
        found=found.astype(bool),
        score=score,
        neighbour=neighbour,
        shadow=shadow,
    )


def _of_image(place: int, image: ImageMatches) -> tuple[np.ndarray, ...]:
    seen = image.seen
    rows = np.flatnonzero(~seen.true_ignored)
    finder = np.full(len(seen.true_labels), -1)
    right = np.flatnonzero(image.found >= 0)
    finder[image.found[right]] = right
    same = seen.true_labels[rows][:, None] == seen.true_labels[rows][None, :]
    np.fill_diagonal(same, val=False)
    boxes = torch.from_numpy(seen.true_boxes[rows])
    near = np.where(same, box_iou(boxes, boxes).numpy(), 0.0)
    # Of the detections that found the others: how much of each lies on this one.
    of = finder[rows]
    over = np.zeros(same.shape)
    hit = of >= 0
    if hit.any():
        over[:, hit] = image.overlaps[of[hit]][:, rows].T
    score = np.where(hit, seen.scores[np.maximum(of, 0)] if len(seen.scores) else 0.0, 0.0)
    return (
        np.full(len(rows), place),
        rows,
        seen.true_labels[rows],
        seen.true_boxes[rows],
        hit,
        score,
        near.max(1, initial=0.0),
        np.where(same, over, 0.0).max(1, initial=0.0),
    )
