"""How each kind of prediction lies on disk: its line of JSON, and files for other tools beside it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from faster_coco_eval import mask as mask_codec
from PIL import Image
from torch import Tensor

from snellen.errors import DatasetError
from snellen.evaluation.storing import ImagePrediction, Naming, Store, prediction_of
from snellen.evaluation.table_stores import CLASS_SCORES, LABEL_SETS, VALUES
from snellen.structures import ClassScores, Detections, LabelSetScores, Prediction, SegmentationMap, ValueEstimates

__all__ = ["STORES", "read_coco_results"]

COCO_NAME = "predictions.coco.json"
MAPS_FOLDER = "maps"
CONFIDENCE_FOLDER = "confidence"
CONFIDENCE_STEPS = 65535  # of a 16-bit PNG


def _detection_line(image: ImagePrediction, naming: Naming, folder: Path) -> dict[str, Any]:
    del folder
    found = prediction_of(image, Detections)
    line: dict[str, Any] = {
        "boxes": found.boxes.float().tolist(),
        "scores": found.scores.float().tolist(),
        "labels": found.labels.tolist(),
        "names": [naming.classes[label] for label in found.labels.tolist()],
    }
    if found.masks is not None:
        line["masks"] = _run_lengths(found.masks)
    return line


def _read_detections(line: dict[str, Any], folder: Path) -> Detections:
    del folder
    masks = line.get("masks")
    return Detections(
        boxes=torch.tensor(line["boxes"], dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor(line["scores"], dtype=torch.float32),
        labels=torch.tensor(line["labels"], dtype=torch.int64),
        masks=None if masks is None else _masks(masks, (line["height"], line["width"])),
    )


def _run_lengths(masks: Tensor) -> list[dict[str, Any]]:
    if len(masks) == 0:
        return []
    stacked = np.asfortranarray(masks.numpy().transpose(1, 2, 0).astype(np.uint8))  # height width n
    return [{"size": code["size"], "counts": _text(code["counts"])} for code in mask_codec.encode(stacked)]


def _text(counts: str | bytes) -> str:
    return counts.decode("ascii") if isinstance(counts, bytes) else counts


def _masks(codes: Sequence[dict[str, Any]], size: tuple[int, int]) -> Tensor:
    if not codes:
        return torch.zeros(0, *size, dtype=torch.uint8)
    stacked = mask_codec.decode([{"size": c["size"], "counts": c["counts"].encode("ascii")} for c in codes])
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(2, 0, 1)))  # n height width


class _CocoResults:
    """Detections as the COCO results format has them: one JSON array, xywh in original pixels."""

    def __init__(self, folder: Path, naming: Naming) -> None:
        self._naming = naming
        self._file = (folder / COCO_NAME).open("w", encoding="utf-8")
        self._separator = "[\n"

    def write(self, image: ImagePrediction) -> None:
        found = prediction_of(image, Detections)
        boxes = found.boxes.double()  # the difference of two float32 numbers is exact in float64
        xywh = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).tolist()
        masks = [None] * len(boxes) if found.masks is None else _run_lengths(found.masks)
        for box, score, label, mask in zip(xywh, found.scores.tolist(), found.labels.tolist(), masks, strict=True):
            entry: dict[str, Any] = {
                "image_id": self._naming.image_id(image.index),
                "category_id": self._naming.category_id(label),
                "bbox": box,
                "score": score,
            }
            if mask is not None:
                entry["segmentation"] = mask
            self._file.write(self._separator + json.dumps(entry, allow_nan=False))
            self._separator = ",\n"

    def close(self) -> None:
        self._file.write("[]\n" if self._separator == "[\n" else "\n]\n")
        self._file.close()


def read_coco_results(path: Path | str, naming: Naming, indices: Sequence[int]) -> dict[int, Detections]:
    """Read detections in the COCO results format, those of other tools too.

    Args:
        path: A JSON array of objects with image_id, category_id, bbox (xywh) and score; masks are not read.
        naming: Ids of classes and images.
        indices: Rows of the data set to return; those that the file does not name have no detections.

    Returns:
        Detections by row, best first.

    Raises:
        DatasetError: If the file is no such array, or names a category or an image that does not exist.
    """
    labels = {naming.category_id(label): label for label in range(len(naming.classes))}
    rows = {naming.image_id(index): index for index in indices}
    gathered: dict[int, list[tuple[list[float], float, int]]] = {index: [] for index in indices}
    place = 0  # of the entry that is read, for the message
    try:
        with Path(path).open(encoding="utf-8") as file:
            entries = json.load(file)
        for place, entry in enumerate(entries):  # noqa: B007  # the handler names it
            own = gathered[rows[entry["image_id"]]]
            own.append(([float(side) for side in entry["bbox"]], float(entry["score"]), labels[entry["category_id"]]))
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            "expected a JSON array of COCO results with ids of the data set; got one that does not fit at "
            f"entry {place} ({type(error).__name__}: {error}). Known categories: {sorted(labels)[:10]}; "
            "check that the file belongs to this data set and split.",
            file=path,
        ) from error
    return {index: _detections(found) for index, found in gathered.items()}


def _detections(found: list[tuple[list[float], float, int]]) -> Detections:
    ranked = sorted(found, key=lambda entry: -entry[1])
    xywh = torch.tensor([entry[0] for entry in ranked], dtype=torch.float64).reshape(-1, 4)
    return Detections(
        boxes=torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], dim=1).float(),
        scores=torch.tensor([entry[1] for entry in ranked], dtype=torch.float32),
        labels=torch.tensor([entry[2] for entry in ranked], dtype=torch.int64),
    )


def _map_line(image: ImagePrediction, naming: Naming, folder: Path) -> dict[str, Any]:
    del naming
    found = prediction_of(image, SegmentationMap)
    name = f"{image.index:08d}.png"
    for part in (MAPS_FOLDER, CONFIDENCE_FOLDER):
        (folder / part).mkdir(exist_ok=True)
    Image.fromarray(found.labels.numpy().astype(np.uint8)).save(folder / MAPS_FOLDER / name)
    steps = (found.confidence.float().clamp(0, 1) * CONFIDENCE_STEPS).round().numpy().astype(np.uint16)
    Image.fromarray(steps).save(folder / CONFIDENCE_FOLDER / name)
    return {"map": f"{MAPS_FOLDER}/{name}", "confidence": f"{CONFIDENCE_FOLDER}/{name}"}


def _read_map(line: dict[str, Any], folder: Path) -> SegmentationMap:
    with Image.open(folder / line["map"]) as image:
        labels = torch.from_numpy(np.array(image, dtype=np.uint8))
    with Image.open(folder / line["confidence"]) as image:
        steps = np.array(image, dtype=np.int64)
    return SegmentationMap(labels=labels, confidence=torch.from_numpy((steps / CONFIDENCE_STEPS).astype(np.float32)))


STORES: Mapping[type[Prediction], Store] = {
    Detections: Store(_detection_line, _read_detections, _CocoResults),
    ClassScores: CLASS_SCORES,
    LabelSetScores: LABEL_SETS,
    SegmentationMap: Store(_map_line, _read_map, None),
    ValueEstimates: VALUES,
}
