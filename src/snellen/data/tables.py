"""What is annotated, as arrays: boxes, masks of classes, or what is said of whole images. One table per data set."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from snellen.data.image_tables import ClassTable, LabelSetTable, ValueTable
from snellen.data.images import read_mask
from snellen.data.palettes import nearest_values
from snellen.data.segments import Segments
from snellen.data.sharing import SharedRecord, Strings, ragged_rows
from snellen.errors import DatasetError
from snellen.structures import IGNORE_LABEL, BoxTarget, MaskTarget, Target

__all__ = [
    "CROWD",
    "DIFFICULT",
    "TRUNCATED",
    "AnnotationTable",
    "BoxTable",
    "ChangedBoxes",
    "ClassTable",
    "LabelSetTable",
    "MaskTable",
    "ValueTable",
    "same_shape",
]

CROWD = 1  # bits of ``BoxTable.flags``
DIFFICULT = 2
TRUNCATED = 4
SHAPE_TOLERANCE_PX = 1.5  # rounding of a scaled side; a mask whose shape differs by more shows another picture


def same_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether two (height, width) are one picture at two scales, up to rounding of the smaller one."""
    small, large = sorted((size, other))
    scale = max(large[0] / max(small[0], 1), large[1] / max(small[1], 1))
    return all(abs(large[axis] / scale - small[axis]) <= SHAPE_TOLERANCE_PX for axis in (0, 1))


@dataclass(frozen=True, eq=False, kw_only=True)
class ChangedBoxes:
    """Boxes that reading clipped or left out, by image, as they were written.

    Attributes:
        offsets: The rows ``offsets[i]:offsets[i + 1]`` belong to image ``i``; ``[num_images + 1]``.
        boxes: xyxy in pixels as the numbers of the file say, before anything was mended; ``[n, 4]``.
        labels: As stated; may be no class; ``[n]``.
        codes: Of the problem, such as ``box-clipped``; ``[n]``.
    """

    offsets: NDArray[np.int64]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int32]
    codes: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> NDArray[np.int64]:
        """The row of the image of each box, ``[n]``."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def take(self, images: NDArray[np.int64]) -> Self:
        """Return the boxes of the chosen images."""
        offsets, rows = ragged_rows(self.offsets, images)
        return replace(self, offsets=offsets, boxes=self.boxes[rows], labels=self.labels[rows], codes=self.codes[rows])


@dataclass(frozen=True, eq=False, kw_only=True)
class BoxTable(SharedRecord):
    """Objects: the rows ``offsets[i]:offsets[i + 1]`` belong to image ``i``.

    Attributes:
        offsets: ``[num_images + 1]``.
        boxes: xyxy, pixels of the file, continuous edges; ``[num_objects, 4]``.
        labels: 0..K-1.
        flags: Sum of ``CROWD``, ``DIFFICULT``, ``TRUNCATED``.
        areas: Pixels, as the annotation states them, or None where the format states none.
        segments: Outlines, or None where only boxes are known.
        category_ids: The format's own number of each class, or None.
        annotation_ids: The format's own number of each object, or None.
        image_ids: The format's own number of each image, or None.
        changed: What reading clipped or left out, or None where nothing is known of it.
    """

    offsets: NDArray[np.int64]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int32]
    flags: NDArray[np.uint8]
    areas: NDArray[np.float32] | None = None
    segments: Segments | None = None
    category_ids: NDArray[np.int64] | None = None
    annotation_ids: NDArray[np.int64] | None = None
    image_ids: NDArray[np.int64] | None = None
    changed: ChangedBoxes | None = None

    @property
    def target_type(self) -> type[Target]:
        """What `target` returns."""
        return BoxTarget

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.offsets) - 1

    def rows(self, image: int) -> slice:
        """Return where the objects of an image are."""
        return slice(int(self.offsets[image]), int(self.offsets[image + 1]))

    def target(self, image: int, size: tuple[int, int], root: Path, num_classes: int) -> BoxTarget:
        """Return the objects of an image; outlines become masks of ``size`` (height, width)."""
        del root, num_classes
        rows = self.rows(image)
        masks = None
        if self.segments is not None:
            masks = _object_masks(self.segments, self.boxes, rows, size)
        return BoxTarget(
            boxes=torch.from_numpy(self.boxes[rows].copy()),
            labels=torch.from_numpy(self.labels[rows].astype(np.int64)),
            valid=torch.ones(rows.stop - rows.start, dtype=torch.bool),
            ignored=torch.from_numpy((self.flags[rows] & (CROWD | DIFFICULT)) != 0),
            masks=masks,
            areas=None if self.areas is None else torch.from_numpy(self.areas[rows].copy()),
        )

    def take(self, images: NDArray[np.int64]) -> Self:
        """Return the objects of the chosen images."""
        offsets, rows = ragged_rows(self.offsets, images)
        return replace(
            self.take_objects(rows),
            offsets=offsets,
            image_ids=_taken(self.image_ids, images),
            changed=None if self.changed is None else self.changed.take(images),
        )

    def take_objects(self, rows: NDArray[np.int64]) -> Self:
        """Return a table of the chosen objects, with the offsets left as they are."""
        return replace(
            self,
            boxes=self.boxes[rows],
            labels=self.labels[rows],
            flags=self.flags[rows],
            areas=_taken(self.areas, rows),
            segments=None if self.segments is None else self.segments.take(rows),
            annotation_ids=_taken(self.annotation_ids, rows),
        )

    def class_counts(self, num_classes: int) -> NDArray[np.int64]:
        """Return how many objects each image has of each class, ``[num_images, num_classes]``."""
        counts = np.zeros((len(self), num_classes), np.int64)
        images = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        np.add.at(counts, (images, self.labels), 1)
        return counts

    def strata(self, num_classes: int) -> NDArray[np.int64]:
        """Return what is to be spread alike over splits: which classes occur in each image."""
        return (self.class_counts(num_classes) > 0).astype(np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskTable(SharedRecord):
    """A label image per image.

    Attributes:
        paths: Label image of each image, relative to the root of the index.
        values: Raw values that label images hold, rising (see `read_mask`).
        labels: The label of each of ``values``; ``IGNORE_LABEL`` for those that count for nothing, and so
            for every value that is not listed.
        coloured: Whether raw values are colours.
        threshold: If set, raw values above it are label 1 and the others 0 (lossy masks of two classes).
        nearest: Whether a raw value that is not listed means the nearest that is (lossy masks of more classes).
        stretched: Whether a label image of another aspect than its image is stretched to it.
        present: Whether a class occurs in an image, ``[num_images, num_classes]``, or None where nobody has
            looked.
        sampled: Whether some label images were not looked at when ``values`` was made; then a value that is
            not listed is warned of when it is met.
    """

    paths: Strings
    values: NDArray[np.int32]
    labels: NDArray[np.uint8]
    coloured: bool = False
    threshold: int | None = None
    nearest: bool = False
    stretched: bool = False
    present: NDArray[np.bool_] | None = None
    sampled: bool = False

    @property
    def target_type(self) -> type[Target]:
        """What `target` returns."""
        return MaskTarget

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def target(self, image: int, size: tuple[int, int], root: Path, num_classes: int) -> MaskTarget:
        """Return the label of every pixel, scaled to ``size`` (height, width) by nearest neighbour.

        Raises:
            DatasetError: If the label image cannot be read, or is of another shape than the image.
        """
        del num_classes
        path = root / self.paths[image]
        raw = read_mask(path, coloured=self.coloured)
        labels = self.labelled(raw)
        if self.sampled:
            self._warn_of_strangers(raw, path)
        found = (labels.shape[0], labels.shape[1])
        if not self.stretched and not same_shape(found, size):
            message = (
                f"a mask for an image of {size[1]} x {size[0]} pixels was expected, but it has "
                f"{found[1]} x {found[0]}, another aspect. Export the mask again at the size of its image."
            )
            raise DatasetError(message, file=path)
        if found != size:
            labels = np.array(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))
        return MaskTarget(labels=torch.from_numpy(labels))

    def labelled(self, raw: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Return labels for raw values."""
        if self.threshold is not None:
            return (raw > self.threshold).astype(np.uint8)
        if self.nearest:
            return self.labels[nearest_values(raw, self.values, coloured=self.coloured)]
        position = np.searchsorted(self.values, raw).clip(max=len(self.values) - 1)
        known = self.values[position] == raw
        return np.where(known, self.labels[position], np.uint8(IGNORE_LABEL))

    def _warn_of_strangers(self, raw: NDArray[np.int32], path: Path) -> None:
        if self.threshold is not None or self.nearest:
            return
        strange = np.setdiff1d(raw, self.values)
        if len(strange):
            warnings.warn(
                f"{path}: the label image holds the values {strange[:10].tolist()}, which occur in none of those that "
                "were looked at when the data set was read and name no class; such pixels count for nothing. "
                "Name them in classes.txt, or give them as ignore_index in snellen.yaml.",
                stacklevel=2,
            )

    def take(self, images: NDArray[np.int64]) -> Self:
        """Return the masks of the chosen images."""
        return replace(self, paths=self.paths.take(images), present=_taken(self.present, images))

    def class_counts(self, num_classes: int) -> NDArray[np.int64]:
        """Return which classes occur in each image, ``[num_images, num_classes]``; zeros where unknown."""
        if self.present is None:
            return np.zeros((len(self), num_classes), np.int64)
        return self.present.astype(np.int64)

    def strata(self, num_classes: int) -> NDArray[np.int64]:
        """Return what is to be spread alike over splits: which classes occur in each image."""
        return self.class_counts(num_classes)


AnnotationTable = BoxTable | ClassTable | LabelSetTable | MaskTable | ValueTable


def _taken(array: NDArray[Any] | None, rows: NDArray[np.int64]) -> Any:
    return None if array is None else array[rows]


def _object_masks(
    segments: Segments, boxes: NDArray[np.float32], rows: slice, size: tuple[int, int]
) -> UInt8[Tensor, "num_boxes height width"]:
    masks: Sequence[NDArray[np.uint8]] = [segments.mask(row, size, boxes[row]) for row in range(rows.start, rows.stop)]
    if not masks:
        return torch.zeros((0, *size), dtype=torch.uint8)
    return torch.from_numpy(np.stack(masks))
