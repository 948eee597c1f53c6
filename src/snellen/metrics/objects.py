"""What the detection metrics keep of one image: small arrays on the CPU, masks run-length coded."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from faster_coco_eval import mask as mask_codec
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from snellen.errors import InputError
from snellen.ops import box_iou, covered_share
from snellen.structures import BoxTarget, Detections

__all__ = ["ImageObjects"]

RunLengths = dict[str, Any]  # {"size": [height, width], "counts": bytes}, the coding of the COCO tools


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageObjects:
    """Detections and truths of one image in original pixels; detections best first.

    Attributes:
        boxes: Detected, xyxy.
        scores: Of the detections.
        labels: Of the detections.
        masks: Of the detections, or None.
        true_boxes: Wanted, xyxy.
        true_labels: Of the truths.
        true_ignored: Crowds and difficult ones.
        true_areas: Of the truths, square pixels.
        true_masks: Of the truths, or None.
        size: Height and width of the image, or None where no masks tell it.
    """

    boxes: Float64[np.ndarray, "n 4"]
    scores: Float64[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    masks: list[RunLengths] | None
    true_boxes: Float64[np.ndarray, "m 4"]
    true_labels: Int64[np.ndarray, " m"]
    true_ignored: Bool[np.ndarray, " m"]
    true_areas: Float64[np.ndarray, " m"]
    true_masks: list[RunLengths] | None
    size: tuple[int, int] | None = None

    @classmethod
    def of(cls, found: Detections, wanted: BoxTarget) -> "ImageObjects":
        """Copy what is needed; padding rows of the target are left out.

        Raises:
            InputError: If a score is not a number.
        """
        scores = _array(found.scores).astype(np.float64)
        if np.isnan(scores).any():
            raise InputError(
                f"scores of detections must be numbers; got {int(np.isnan(scores).sum())} nan among "
                f"{len(scores)}. The model has diverged; train with a lower learning rate or in float32."
            )
        order = np.argsort(-scores, kind="stable")
        valid = _array(wanted.valid)
        boxes = _array(wanted.boxes).astype(np.float64)[valid]
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return cls(
            boxes=_array(found.boxes).astype(np.float64)[order],
            scores=scores[order],
            labels=_array(found.labels)[order],
            masks=None if found.masks is None else _run_lengths(_array(found.masks)[order]),
            true_boxes=boxes,
            true_labels=_array(wanted.labels)[valid],
            true_ignored=_array(wanted.ignored)[valid],
            true_areas=areas if wanted.areas is None else _array(wanted.areas).astype(np.float64)[valid],
            true_masks=None if wanted.masks is None else _run_lengths(_array(wanted.masks)[valid]),
            size=None if wanted.masks is None else (wanted.masks.shape[-2], wanted.masks.shape[-1]),
        )

    def overlaps(self) -> Float64[np.ndarray, "n m"]:
        """Intersection over union of every detection with every truth."""
        return np.asarray(box_iou(torch.from_numpy(self.boxes), torch.from_numpy(self.true_boxes)).numpy())

    def covered(self) -> Float64[np.ndarray, "n m"]:
        """Share of every detection that lies within every truth (the overlap that counts for crowds)."""
        return np.asarray(covered_share(torch.from_numpy(self.boxes), torch.from_numpy(self.true_boxes)).numpy())


def _array(tensor: Tensor) -> np.ndarray:
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()  # numpy knows no bfloat16
    return np.asarray(tensor.detach().cpu().numpy())


def _run_lengths(masks: np.ndarray) -> list[RunLengths]:
    if len(masks) == 0:
        return []
    stacked = np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8))  # height width n, as the codec wants it
    return list(mask_codec.encode(stacked))
