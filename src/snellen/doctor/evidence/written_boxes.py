"""The four numbers of each box as the files state them, and what they would mean under every reading."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from snellen.data import BoxTable, ChangedBoxes, DatasetIndex
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.labels import Objects
from snellen.doctor.words import Text

__all__ = ["READINGS", "WrittenBoxes", "written_boxes"]

Numbers = NDArray[np.float64]
TOLERANCE_PX = 1.0  # inclusive edges and rounding; as in reading
TOLERANCE_SHARE = 0.01  # of the side of the image, beyond its edge
LEAST_SIDE_PX = 1.0  # of a box in pixels; shares read as pixels stay below


def _from_corners(numbers: Numbers) -> Numbers:
    return numbers


def _from_size(numbers: Numbers) -> Numbers:
    return np.concatenate([numbers[:, :2], numbers[:, :2] + numbers[:, 2:]], axis=1)


def _from_centre(numbers: Numbers) -> Numbers:
    half = numbers[:, 2:] / 2
    return np.concatenate([numbers[:, :2] - half, numbers[:, :2] + half], axis=1)


def _to_size(boxes: Numbers) -> Numbers:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _to_centre(boxes: Numbers) -> Numbers:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


_FORMS: Mapping[str, tuple[Callable[[Numbers], Numbers], Callable[[Numbers], Numbers]]] = MappingProxyType(
    {
        "x1 y1 x2 y2": (_from_corners, _from_corners),
        "x1 y1 w h": (_from_size, _to_size),
        "cx cy w h": (_from_centre, _to_centre),
    }
)
_UNITS = ("pixels", "shares")
READINGS = tuple(f"{form}, {unit}" for unit in _UNITS for form in _FORMS)
_DECLARED: Mapping[str, str] = MappingProxyType(
    {"coco": "x1 y1 w h, pixels", "voc": "x1 y1 x2 y2, pixels", "yolo": "cx cy w h, shares"}
)


@dataclass(frozen=True, kw_only=True, eq=False)
class WrittenBoxes:
    """Boxes as they are written, those that reading left out among them; ``n`` is their number.

    Attributes:
        numbers: As in the file; ``[n, 4]``.
        images: Row of the image in the index; ``[n]``.
        sizes: Height and width of it; ``[n, 2]``.
        declared: The reading that the format prescribes, one of `READINGS`.
    """

    numbers: Numbers
    images: NDArray[np.int64]
    sizes: NDArray[np.int32]
    declared: str

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.images)

    def boxes(self, reading: str) -> Numbers:
        """Return xyxy in pixels under a reading, ``[n, 4]``."""
        form, unit = reading.split(", ")
        corners = _FORMS[form][0](self.numbers)
        return corners * np.tile(self.sizes[:, ::-1], 2) if unit == "shares" else corners

    def is_valid(self, reading: str) -> NDArray[np.bool_]:
        """Return which boxes have an extent and lie in their image under a reading, ``[n]``."""
        boxes = self.boxes(reading)
        least = LEAST_SIDE_PX if reading.endswith("pixels") else 0.0
        sides = boxes[:, 2:] - boxes[:, :2]
        room = TOLERANCE_PX + TOLERANCE_SHARE * self.sizes[:, ::-1]
        inside = (boxes[:, :2] >= -room).all(1) & (boxes[:, 2:] <= self.sizes[:, ::-1] + room).all(1)
        return np.asarray(inside & (sides > 0).all(1) & (sides >= least).all(1))

    def edges_touched(self, reading: str) -> NDArray[np.int64]:
        """Return how many edges of its image each box ends at, within a pixel, under a reading; ``[n]``."""
        boxes, far = self.boxes(reading), self.sizes[:, ::-1]
        touched = np.concatenate([np.abs(boxes[:, :2]), np.abs(boxes[:, 2:] - far)], axis=1) <= TOLERANCE_PX
        return np.asarray(touched.sum(1), np.int64)


def written_boxes(index: DatasetIndex) -> WrittenBoxes:
    """Return the boxes of an index in the numbers of its format.

    Raises:
        NotCheckable: If its annotations are no boxes of a format with a known reading, or there is none.
    """
    table = index.annotations
    if not isinstance(table, BoxTable) or index.format not in _DECLARED:
        raise NotCheckable(Objects.ABSENT)
    images = np.repeat(np.arange(len(index)), np.diff(table.offsets))
    keep = np.ones(len(images), np.bool_)
    if index.format == "yolo" and table.segments is not None:
        keep &= np.diff(table.segments.object_offsets) == 0  # outlines are read as corners, whatever they mean
    boxes = table.boxes.astype(np.float64)
    if table.changed is not None:
        keep &= ~_is_clipped(table.boxes, images, table.changed, index.sizes)
        stated = np.isfinite(table.changed.boxes).all(1)
        boxes = np.concatenate([boxes[keep], table.changed.boxes[stated]])
        images = np.concatenate([images[keep], table.changed.images[stated]])
    else:
        boxes, images = boxes[keep], images[keep]
    known = (index.sizes[images] > 0).all(1)
    boxes, images = boxes[known], images[known]
    if not len(boxes):
        raise NotCheckable(Text(en="no box is written", zh="没有写出任何框"))
    declared = _DECLARED[index.format]
    form, unit = declared.split(", ")
    sizes = index.sizes[images]
    numbers = _FORMS[form][1](boxes / np.tile(sizes[:, ::-1], 2) if unit == "shares" else boxes)
    return WrittenBoxes(numbers=numbers, images=images, sizes=sizes, declared=declared)


def _is_clipped(
    boxes: NDArray[np.float32], images: NDArray[np.int64], changed: ChangedBoxes, sizes: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Return which boxes are what clipping left of one that is kept as it was written."""
    rows = np.flatnonzero(changed.codes == "box-clipped")
    limits = np.tile(sizes[changed.images[rows]][:, ::-1], 2)
    left = changed.boxes[rows].clip(0, limits).astype(np.float32)
    known = {(image, *box) for image, box in zip(changed.images[rows].tolist(), left.tolist(), strict=True)}
    candidates = np.flatnonzero(np.isin(images, changed.images[rows]))
    every = zip(images[candidates].tolist(), boxes[candidates].tolist(), strict=True)
    is_clipped = np.zeros(len(boxes), np.bool_)
    is_clipped[candidates] = [(image, *box) in known for image, box in every]
    return is_clipped
