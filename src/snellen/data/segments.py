"""Outlines of objects, polygons and run lengths, in flat arrays; a mask is drawn when asked for."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snellen.data.sharing import SharedRecord, ragged_rows, taken_ragged

__all__ = ["RunLengths", "Segments", "compressed_runs", "encoded_mask"]

RunLengths = dict[str, Any]  # COCO's form: {"size": [height, width], "counts": bytes}
MIN_POLYGON_NUMBERS = 6  # three corners


def compressed_runs(counts: list[int], size: tuple[int, int]) -> bytes:
    """Return COCO's compressed form of run lengths (column by column, beginning with zeros)."""
    from faster_coco_eval.core import mask as coco_mask  # noqa: PLC0415 - slow to import

    runs: RunLengths = coco_mask.frPyObjects({"counts": counts, "size": list(size)}, size[0], size[1])
    compressed: bytes = runs["counts"]
    return compressed


def encoded_mask(mask: NDArray[np.uint8]) -> bytes:
    """Return COCO's compressed run lengths of a mask of 0 and 1, ``[height, width]``."""
    from faster_coco_eval.core import mask as coco_mask  # noqa: PLC0415 - slow to import

    compressed: bytes = coco_mask.encode(np.asfortranarray(mask))["counts"]
    return compressed


@dataclass(frozen=True, eq=False, kw_only=True)
class Segments(SharedRecord):
    """The outline of every object: some polygons, or run lengths, or neither (then its box stands for it).

    Attributes:
        points: x y x y … of all polygons.
        polygon_offsets: Polygon ``p`` has the numbers ``points[polygon_offsets[p]:polygon_offsets[p + 1]]``.
        object_offsets: Object ``i`` has the polygons ``object_offsets[i]:object_offsets[i + 1]``.
        runs: Compressed run lengths of all objects.
        run_offsets: Object ``i`` has the bytes ``runs[run_offsets[i]:run_offsets[i + 1]]``.
        run_sizes: Height and width for which the run lengths were made, ``[num_objects, 2]``; 0 without.
    """

    points: NDArray[np.float32]
    polygon_offsets: NDArray[np.int64]
    object_offsets: NDArray[np.int64]
    runs: NDArray[np.uint8] = field(repr=False)
    run_offsets: NDArray[np.int64]
    run_sizes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.object_offsets) - 1

    def polygons(self, index: int) -> list[NDArray[np.float64]]:
        """Return the polygons of an object, each as x y x y …, as the decimal numbers that were written.

        Filling rounds to fifths of a pixel, where 512.3 is a tie: as a 32-bit float it would fall to the other side.
        """
        first, last = self.object_offsets[index], self.object_offsets[index + 1]
        ends = self.polygon_offsets[first : last + 1]
        return [self.points[start:end].astype(str).astype(np.float64) for start, end in pairwise(ends)]

    def points_of(self, rows: slice) -> slice:
        """Return where the numbers of the polygons of neighbouring objects are."""
        first, last = self.object_offsets[rows.start], self.object_offsets[rows.stop]
        return slice(int(self.polygon_offsets[first]), int(self.polygon_offsets[last]))

    def run_lengths(self, index: int) -> RunLengths | None:
        """Return the run lengths of an object in COCO's form, if it has them."""
        start, end = self.run_offsets[index], self.run_offsets[index + 1]
        if start == end:
            return None
        return {"size": self.run_sizes[index].tolist(), "counts": self.runs[start:end].tobytes()}

    def mask(self, index: int, size: tuple[int, int], box: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return an object's pixels as 0 and 1, ``[height, width]``.

        Polygons are filled as COCO's tools do (faster-coco-eval's ``frPyObjects``).

        Args:
            index: Which object.
            size: Height and width of the mask.
            box: Its xyxy box, filled where there is no outline.
        """
        from faster_coco_eval.core import mask as coco_mask  # noqa: PLC0415 - slow to import

        runs = self.run_lengths(index)
        if runs is None:
            polygons = [polygon.tolist() for polygon in self.polygons(index)] or [_corners(box)]
            runs = coco_mask.merge(coco_mask.frPyObjects(polygons, size[0], size[1]))
        drawn = np.ascontiguousarray(coco_mask.decode(runs), dtype=np.uint8)
        if drawn.shape != size:
            drawn = np.array(Image.fromarray(drawn).resize((size[1], size[0]), Image.Resampling.NEAREST))
        return drawn

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the outlines of the chosen objects."""
        if len(rows) == len(self) and np.array_equal(rows, np.arange(len(self))):
            return self
        object_offsets, polygons = ragged_rows(self.object_offsets, rows)
        points, polygon_offsets = taken_ragged(self.points, self.polygon_offsets, polygons)
        runs, run_offsets = taken_ragged(self.runs, self.run_offsets, rows)
        return type(self)(
            points=points,
            polygon_offsets=polygon_offsets,
            object_offsets=object_offsets,
            runs=runs,
            run_offsets=run_offsets,
            run_sizes=self.run_sizes[rows],
        )


def _corners(box: NDArray[np.float32]) -> list[float]:
    left, top, right, bottom = (float(value) for value in box)
    return [left, top, right, top, right, bottom, left, bottom]
