"""Builders of predictions and truths for the metrics' tests."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snellen.metrics import DetectionMetric
from snellen.structures import BoxTarget, Detections


def box_target(boxes, labels, ignored=None, areas=None, masks=None) -> BoxTarget:
    count = len(labels)
    return BoxTarget(
        boxes=torch.as_tensor(np.asarray(boxes, np.float32)).reshape(-1, 4),
        labels=torch.as_tensor(labels, dtype=torch.int64).reshape(-1),
        valid=torch.ones(count, dtype=torch.bool),
        ignored=torch.as_tensor([False] * count if ignored is None else ignored, dtype=torch.bool).reshape(-1),
        areas=None if areas is None else torch.as_tensor(areas, dtype=torch.float32).reshape(-1),
        masks=masks,
    )


def detections(boxes, scores, labels, masks=None) -> Detections:
    return Detections(
        boxes=torch.as_tensor(np.asarray(boxes, np.float32)).reshape(-1, 4),
        scores=torch.as_tensor(scores, dtype=torch.float32).reshape(-1),
        labels=torch.as_tensor(labels, dtype=torch.int64).reshape(-1),
        masks=masks,
    )


def corners(entries: Sequence[dict[str, Any]]) -> np.ndarray:
    xywh = np.array([entry["bbox"] for entry in entries], np.float64).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


@pytest.fixture(scope="session")
def make_truth() -> Callable[..., BoxTarget]:
    return box_target


@pytest.fixture(scope="session")
def make_found() -> Callable[..., Detections]:
    return detections


@pytest.fixture(scope="session")
def measure_coco() -> Callable[..., DetectionMetric]:
    """Feed COCO ground truth and results, as parsed JSON, to a metric; masks by pycocotools' decoder."""
    return _measure_coco


def _measure_coco(truth, found, *, with_masks=False) -> DetectionMetric:
    ids = sorted(category["id"] for category in truth["categories"])
    label = {category: row for row, category in enumerate(ids)}
    metric = DetectionMetric([str(category) for category in ids])
    for image in truth["images"]:
        own = [entry for entry in truth["annotations"] if entry["image_id"] == image["id"]]
        seen = [entry for entry in found if entry["image_id"] == image["id"]]
        boxes = corners(own)
        seen_boxes = np.zeros((len(seen), 4)) if with_masks else corners(seen)
        size = (image["height"], image["width"])
        target = box_target(
            boxes,
            [label[entry["category_id"]] for entry in own],
            [bool(entry["iscrowd"]) for entry in own],
            [entry["area"] for entry in own],
            _masks(own, size) if with_masks else None,
        )
        prediction = detections(
            seen_boxes,
            [entry["score"] for entry in seen],
            [label[entry["category_id"]] for entry in seen],
            _masks(seen, size) if with_masks else None,
        )
        metric.update([prediction], [target], [image["id"]])
    return metric


def _masks(entries: Sequence[dict[str, Any]], size: tuple[int, int]) -> torch.Tensor:
    from pycocotools import mask as codec

    planes = []
    for entry in entries:
        code = entry["segmentation"]
        if isinstance(code, list):
            code = codec.merge(codec.frPyObjects(code, *size))
        elif isinstance(code["counts"], list):
            code = codec.frPyObjects(code, *size)
        planes.append(codec.decode(code))
    return torch.from_numpy(np.array(planes, np.uint8).reshape(len(planes), *size))


@pytest.fixture(scope="session")
def read_json() -> Callable[[Path], Any]:
    return lambda path: json.loads(path.read_text(encoding="utf-8"))
