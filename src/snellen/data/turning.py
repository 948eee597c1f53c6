"""Turning the objects of an image as EXIF turns the image."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from snellen.data.segments import Segments, encoded_mask
from snellen.data.tables import BoxTable, ChangedBoxes

__all__ = ["turned_objects"]

Numbers = NDArray[np.float64]
Turn = tuple[Callable[[Numbers, Numbers, tuple[int, int]], tuple[Numbers, Numbers]], Callable[..., NDArray[np.uint8]]]


def _transposed(x: Numbers, y: Numbers, size: tuple[int, int]) -> tuple[Numbers, Numbers]:
    del size
    return y, x


def _turned_right(x: Numbers, y: Numbers, size: tuple[int, int]) -> tuple[Numbers, Numbers]:
    return size[0] - y, x


def _transversed(x: Numbers, y: Numbers, size: tuple[int, int]) -> tuple[Numbers, Numbers]:
    return size[0] - y, size[1] - x


def _turned_left(x: Numbers, y: Numbers, size: tuple[int, int]) -> tuple[Numbers, Numbers]:
    return y, size[1] - x


# How points x, y of a picture of (height, width) move, and how its pixels do, by the value of EXIF's orientation
# (CIPA DC-008, Exif 2.32, section 4.6.4, tag 274). Only these four exchange height and width.
_TURNS: Mapping[int, Turn] = MappingProxyType(
    {
        5: (_transposed, lambda mask: mask.T),
        6: (_turned_right, lambda mask: np.rot90(mask, -1)),
        7: (_transversed, lambda mask: np.rot90(mask, 2).T),
        8: (_turned_left, lambda mask: np.rot90(mask, 1)),
    }
)


def turned_objects(table: BoxTable, images: Mapping[int, tuple[int, tuple[int, int]]]) -> BoxTable:
    """Return the table with the boxes and outlines of some images turned.

    Args:
        table: Left as it is.
        images: From the row of an image to its EXIF orientation, 5 to 8, and its (height, width) before turning.
    """
    boxes = table.boxes.astype(np.float64)
    segments = table.segments
    points = None if segments is None else segments.points.astype(np.float64)
    masks: dict[int, NDArray[np.uint8]] = {}
    for image, (orientation, size) in images.items():
        move, turn = _TURNS[orientation]
        rows = table.rows(image)
        part = boxes[rows]
        ends = [move(part[:, side], part[:, side + 1], size) for side in (0, 2)]
        corners = np.array([[x, y] for x, y in ends])  # [2 corners, x y, objects]
        boxes[rows] = np.concatenate([corners.min(0), corners.max(0)]).T
        if segments is None or points is None:
            continue
        outline = points[segments.points_of(rows)].reshape(-1, 2)
        points[segments.points_of(rows)] = np.stack(move(outline[:, 0], outline[:, 1], size), 1).ravel()
        for row in range(rows.start, rows.stop):
            if segments.run_lengths(row) is not None:
                masks[row] = turn(segments.mask(row, size, table.boxes[row]))
    if segments is not None and points is not None:
        segments = _with_masks(replace(segments, points=points.astype(np.float32)), masks)
    changed = None if table.changed is None else _turned_changed(table.changed, images)
    return replace(table, boxes=boxes.astype(np.float32), segments=segments, changed=changed)


def _turned_changed(changed: ChangedBoxes, images: Mapping[int, tuple[int, tuple[int, int]]]) -> ChangedBoxes:
    """Turn what was clipped or left out; boxes that are inside out stay so."""
    boxes = changed.boxes.copy()
    for image, (orientation, size) in images.items():
        rows = slice(int(changed.offsets[image]), int(changed.offsets[image + 1]))
        part = boxes[rows]
        move = _TURNS[orientation][0]
        corners = np.array([np.stack(move(part[:, side], part[:, side + 1], size)) for side in (0, 2)])
        is_sound = (part[:, 2:] > part[:, :2]).all(1)
        first, last = np.where(is_sound, corners.min(0), corners[0]), np.where(is_sound, corners.max(0), corners[1])
        boxes[rows] = np.concatenate([first, last]).T
    return replace(changed, boxes=boxes)


def _with_masks(segments: Segments, masks: Mapping[int, NDArray[np.uint8]]) -> Segments:
    """Return the outlines with new run lengths for some objects."""
    if not masks:
        return segments
    runs = [
        encoded_mask(masks[row])
        if row in masks
        else segments.runs[segments.run_offsets[row] : segments.run_offsets[row + 1]].tobytes()
        for row in range(len(segments))
    ]
    sizes = segments.run_sizes.copy()
    for row, mask in masks.items():
        sizes[row] = mask.shape
    lengths = np.fromiter(map(len, runs), np.int64, len(runs))
    return replace(
        segments,
        runs=np.frombuffer(b"".join(runs), np.uint8),
        run_offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        run_sizes=sizes,
    )
