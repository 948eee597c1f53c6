"""The twelve figures of COCO, computed by faster-coco-eval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval import mask as mask_codec
from jaxtyping import Float64

from snellen.metrics.objects import ImageObjects

__all__ = ["COCO_NAMES", "SIZE_NAMES", "SIZE_RANGES", "CocoSummary", "coco_summary"]

SIZE_NAMES = ("all", "small", "medium", "large")
SIZE_RANGES = ("any", "below 32² px", "32² to 96² px", "above 96² px")  # areas, pycocotools' Params.areaRng
MAX_DETECTIONS = (1, 10, 100)  # per image and class, pycocotools' Params.maxDets
COCO_NAMES = (
    "AP",
    "AP50",
    "AP75",
    "AP_small",
    "AP_medium",
    "AP_large",
    "AR_1",
    "AR_10",
    "AR_100",
    "AR_small",
    "AR_medium",
    "AR_large",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CocoSummary:
    """Precision and recall on COCO's grid; nan where a class or a size has no truth.

    Attributes:
        precision: Over 10 overlaps (0.50 … 0.95), 101 recalls (0, 0.01 … 1), classes, 4 sizes.
        recall: Over 10 overlaps, classes, 4 sizes, 3 limits of detections (1, 10, 100).
    """

    precision: Float64[np.ndarray, "10 101 num_classes 4"]
    recall: Float64[np.ndarray, "10 num_classes 4 3"]

    def figures(self) -> dict[str, float]:
        """The twelve figures under the names of ``COCO_NAMES``; nan where nothing was to be found."""
        precision = [self.precision[..., 0], self.precision[0, ..., 0], self.precision[5, ..., 0]]
        precision += [self.precision[..., size] for size in (1, 2, 3)]
        recall = [self.recall[..., 0, limit] for limit in (0, 1, 2)]
        recall += [self.recall[..., size, 2] for size in (1, 2, 3)]
        return dict(zip(COCO_NAMES, map(mean_of_known, precision + recall), strict=True))


def mean_of_known(values: np.ndarray) -> float:
    """Mean of the entries that are not nan; nan if there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def coco_summary(images: Sequence[ImageObjects], *, num_classes: int, with_masks: bool = False) -> CocoSummary:
    """Match at ten overlaps and accumulate, by box or by mask.

    Args:
        images: In a fixed order; among equal scores the earlier image ranks first.
        num_classes: K.
        with_masks: Overlap of masks in place of boxes; every image must then have them on both sides.

    Source:
        Lin et al. 2014 and pycocotools' ``COCOeval``; computed by faster-coco-eval.
    """
    kind = "segm" if with_masks else "bbox"
    frame = {
        "images": [{"id": row, "height": 0, "width": 0} for row in range(1, len(images) + 1)],
        "categories": [{"id": label, "name": str(label)} for label in range(num_classes)],
    }
    truths = [
        entry for row, image in enumerate(images, start=1) for entry in _truths(image, row, with_masks=with_masks)
    ]
    found = [entry for row, image in enumerate(images, start=1) for entry in _found(image, row, with_masks=with_masks)]
    for entries in (truths, found):
        for number, entry in enumerate(entries, start=1):  # from 1: the tools take 0 for "unmatched"
            entry["id"] = number
    if not truths or not images:
        return _without_truths(num_classes)
    run = COCOeval_faster(
        COCO({**frame, "annotations": truths}),
        COCO({**frame, "annotations": found}),
        kind,
        separate_eval=True,
    )
    run.params.maxDets = list(MAX_DETECTIONS)
    run.evaluate()
    run.accumulate()
    shape = (10, 101, num_classes, len(SIZE_NAMES), len(MAX_DETECTIONS))
    precision = np.asarray(run.eval["precision"], np.float64).reshape(shape)[..., -1]
    recall = np.asarray(run.eval["recall"], np.float64).reshape(shape[:1] + shape[2:])
    return CocoSummary(
        precision=np.where(precision < 0, np.nan, precision), recall=np.where(recall < 0, np.nan, recall)
    )


def _without_truths(num_classes: int) -> CocoSummary:
    return CocoSummary(
        precision=np.full((10, 101, num_classes, 4), np.nan), recall=np.full((10, num_classes, 4, 3), np.nan)
    )


def _xywh(boxes: np.ndarray) -> list[list[float]]:
    lists: list[list[float]] = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
    return lists


def _truths(image: ImageObjects, row: int, *, with_masks: bool) -> list[dict[str, Any]]:
    entries = [
        {
            "image_id": row,
            "category_id": int(label),
            "bbox": box,
            "area": float(area),
            "iscrowd": int(ignored),
        }
        for label, box, area, ignored in zip(
            image.true_labels, _xywh(image.true_boxes), image.true_areas, image.true_ignored, strict=True
        )
    ]
    if with_masks and image.true_masks is not None:
        for entry, mask in zip(entries, image.true_masks, strict=True):
            entry["segmentation"] = mask
    return entries


def _found(image: ImageObjects, row: int, *, with_masks: bool) -> list[dict[str, Any]]:
    entries = [
        {
            "image_id": row,
            "category_id": int(label),
            "bbox": box,
            "area": box[2] * box[3],
            "score": float(score),
            "iscrowd": 0,
        }
        for label, box, score in zip(image.labels, _xywh(image.boxes), image.scores, strict=True)
    ]
    if with_masks and image.masks is not None:
        for entry, mask in zip(entries, image.masks, strict=True):
            entry["segmentation"] = mask
            entry["area"] = float(mask_codec.area(mask))
    return entries
