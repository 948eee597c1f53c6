"""Collecting objects one by one while a file is read, and cleaning them all at once."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data.problems import ProblemLog
from snellen.data.segments import MIN_POLYGON_NUMBERS, Segments
from snellen.data.tables import BoxTable, ChangedBoxes

__all__ = ["BoxRows", "Place"]

CLIP_TOLERANCE_PX = 1.0  # inclusive edges and rounding put boxes up to one pixel outside; no fault of anyone
ROWS_AT_ONCE = 65536  # cleaned together: the steps hold their rows several times over
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object is written, for messages."""

    file: str
    line: int | None = None


class BoxRows:
    """Objects in flat arrays, in the order in which they are read."""

    def __init__(self) -> None:
        self.images = array("i")
        self.boxes = array("d")
        self.labels = array("i")
        self.flags = array("B")
        self.areas = array("d")
        self.ids = array("q")
        self.lines = array("i")
        self._points = array("f")
        self._polygon_ends = array("q")
        self._object_ends = array("q")
        self._runs = bytearray()
        self._run_ends = array("q")
        self._run_sizes = array("i")
        self._outlined = False
        self._left_out: list[tuple[int, Box, int, str]] = []

    def __len__(self) -> int:
        return len(self.labels)

    def add(  # noqa: PLR0913  # one column each
        self,
        image: int,
        box: Box,
        label: int,
        *,
        flags: int = 0,
        area: float = float("nan"),
        number: int = 0,
        line: int = 0,
        polygons: Sequence[Sequence[float]] = (),
        runs: tuple[bytes, tuple[int, int]] | None = None,
    ) -> None:
        """Add one object.

        Args:
            image: Row of its image.
            box: xyxy, pixels.
            label: 0..K-1.
            flags: See `BoxTable`.
            area: Pixels, NaN where not stated.
            number: The format's own number of the object.
            line: Line of the file, 0 where there is none.
            polygons: Outlines as x y x y ….
            runs: Compressed run lengths with the (height, width) for which they were made.
        """
        self.images.append(image)
        self.boxes.extend(box)
        self.labels.append(label)
        self.flags.append(flags)
        self.areas.append(area)
        self.ids.append(number)
        self.lines.append(line)
        for polygon in polygons:
            if len(polygon) >= MIN_POLYGON_NUMBERS:
                self._points.extend(polygon[: len(polygon) // 2 * 2])
                self._polygon_ends.append(len(self._points))
                self._outlined = True
        self._object_ends.append(len(self._polygon_ends))
        if runs is not None:
            self._runs += runs[0]
            self._outlined = True
        self._run_ends.append(len(self._runs))
        self._run_sizes.extend(runs[1] if runs else (0, 0))

    def leave_out(self, image: int, box: Box, label: int, code: str) -> None:
        """Keep a box that is no object, so that it can be looked at; ``code`` is that of the problem."""
        self._left_out.append((image, box, label, code))

    def table(self, sizes: NDArray[np.int32], place: Callable[[int, int], Place], log: ProblemLog) -> BoxTable:
        """Return the objects by image, cleaned; see `_cleaned`.

        Args:
            sizes: Height and width of each image, 0 where unknown.
            place: From the row of an image and a line to where that is written.
            log: Receives what was changed or left out.
        """
        raw = np.frombuffer(self.boxes, np.float64).reshape(-1, 4) if len(self) else np.zeros((0, 4))
        images = _column(self.images, np.int64)
        lines = _column(self.lines, np.int64)
        changed = list(self._left_out)

        def report(start: int, rows: NDArray[np.int64], code: str, message: str, *, left_out: bool) -> None:
            for row in (start + rows).tolist():
                left, top, right, bottom = raw[row].tolist()
                changed.append((int(images[row]), (left, top, right, bottom), self.labels[row], code))
                found = place(int(images[row]), int(lines[row]))
                numbers = ", ".join(f"{value:g}" for value in raw[row].tolist())
                log.add(
                    code,
                    message.format(box=numbers, size=_written(sizes[images[row]])),
                    file=found.file,
                    line=found.line,
                    severity="error" if left_out else "warning",
                    fix="correct the box in the annotation",
                )

        boxes, keep = np.zeros((len(raw), 4), np.float32), np.zeros(len(raw), np.bool_)
        for start in range(0, len(raw), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            boxes[part], keep[part] = _cleaned(raw[part], sizes[images[part]], partial(report, start))
        order = np.argsort(np.where(keep, images, len(sizes)), kind="stable")[: int(keep.sum())]
        offsets = np.zeros(len(sizes) + 1, np.int64)
        np.cumsum(np.bincount(images[order], minlength=len(sizes)), out=offsets[1:])
        areas = _column(self.areas, np.float32)
        has_areas = bool(np.isfinite(areas).any())
        if has_areas:
            own = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
            areas = np.where(np.isfinite(areas), areas, own).astype(np.float32)
        whole = BoxTable(
            offsets=offsets,
            boxes=boxes,
            labels=_column(self.labels, np.int32),
            flags=_column(self.flags, np.uint8),
            areas=areas if has_areas else None,
            segments=self._segments() if self._outlined else None,
            annotation_ids=_column(self.ids, np.int64) if any(self.ids) else None,
            changed=_changed(changed, len(sizes)),
        )
        return replace(whole.take_objects(order), offsets=offsets)

    def _segments(self) -> Segments:
        return Segments(
            points=_column(self._points, np.float32),
            polygon_offsets=_offsets(self._polygon_ends),
            object_offsets=_offsets(self._object_ends),
            runs=np.frombuffer(bytes(self._runs), np.uint8),
            run_offsets=_offsets(self._run_ends),
            run_sizes=_column(self._run_sizes, np.int32).reshape(-1, 2),
        )


def _changed(rows: list[tuple[int, Box, int, str]], num_images: int) -> ChangedBoxes:
    ordered = sorted(rows, key=lambda row: row[0])
    counts = np.bincount(np.array([row[0] for row in ordered], np.int64), minlength=num_images)
    return ChangedBoxes(
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
        boxes=np.array([row[1] for row in ordered], np.float64).reshape(-1, 4),
        labels=np.array([row[2] for row in ordered], np.int32),
        codes=np.array([row[3] for row in ordered], np.str_),
    )


def _cleaned(
    raw: NDArray[np.float64], sizes: NDArray[np.int32], report: Callable[..., None]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Clip boxes to their images; say which are not numbers, have no area, or lie outside."""
    finite = np.asarray(np.isfinite(raw).all(1), dtype=np.bool_)
    report(
        np.flatnonzero(~finite),
        "box-not-finite",
        "a box must be numbers; got ({box}); left out.",
        left_out=True,
    )
    raw = np.where(finite[:, None], raw, 0)
    flat = finite & ((raw[:, 2:] <= raw[:, :2]).any(1))
    message = "a box must have width and height above 0; got corners ({box}); left out."
    report(np.flatnonzero(flat), "box-degenerate", message, left_out=True)
    known = np.asarray((sizes > 0).all(1), dtype=np.bool_)
    limit = np.where(known[:, None], sizes[:, ::-1], np.inf)
    boxes = raw.copy()
    floor = np.where(known, 0, -np.inf)[:, None]
    boxes[:, 0::2] = boxes[:, 0::2].clip(floor, limit[:, :1])
    boxes[:, 1::2] = boxes[:, 1::2].clip(floor, limit[:, 1:])
    sound = finite & ~flat
    outside = sound & (boxes[:, 2:] <= boxes[:, :2]).any(1)
    message = "the box ({box}) lies outside the image of {size} pixels; left out."
    report(np.flatnonzero(outside), "box-outside", message, left_out=True)
    clipped = sound & ~outside & (np.abs(boxes - raw).max(1, initial=0) > CLIP_TOLERANCE_PX)
    message = "the box ({box}) reaches beyond the image of {size} pixels; clipped."
    report(np.flatnonzero(clipped), "box-clipped", message, left_out=False)
    return boxes.astype(np.float32), sound & ~outside


def _written(size: NDArray[np.int32]) -> str:
    return f"{size[1]} x {size[0]}"


def _column(values: Any, dtype: type[np.generic]) -> NDArray[Any]:
    if not len(values):
        return np.zeros(0, dtype)
    return np.frombuffer(values, values.typecode).astype(dtype, copy=False)  # shares the memory where it can


def _offsets(ends: Any) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), _column(ends, np.int64)])
