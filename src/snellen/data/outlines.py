"""Objects with outlines, polygons or run lengths, as label maps: what is drawn where."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.data.segments import Segments
from snellen.data.sharing import SharedRecord
from snellen.data.tables import CROWD, DIFFICULT, BoxTable
from snellen.errors import DatasetError
from snellen.structures import IGNORE_LABEL, MaskTarget, Target

__all__ = ["OutlineTable"]


@dataclass(frozen=True, eq=False, kw_only=True)
class OutlineTable(SharedRecord):
    """A label map for each image, drawn from the outlines of its objects.

    What no object covers is background. Of objects that overlap the smaller one lies in front. Crowds, difficult
    objects, and the boxes of objects without an outline count for nothing.

    Attributes:
        objects: With outlines.
        label_of: Label in the map of each class of the objects.
        background: Label of what no object covers.
    """

    objects: BoxTable
    label_of: NDArray[np.uint8]
    background: int = 0

    @property
    def target_type(self) -> type[Target]:
        """What `target` returns."""
        return MaskTarget

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.objects)

    def target(self, image: int, size: tuple[int, int], root: Path, num_classes: int) -> MaskTarget:
        """Return the label of every pixel of an image of ``size`` (height, width).

        Raises:
            DatasetError: If the objects have no outlines.
        """
        del num_classes
        segments = self.objects.segments
        if segments is None:
            raise DatasetError("outlines of objects were expected; there are boxes alone. Learn boxes.", file=root)
        labels = np.full(size, self.background, np.uint8)
        rows = range(*self.objects.rows(image).indices(len(self.objects.labels)))
        drawn = [(row, segments.mask(row, size, self.objects.boxes[row]) > 0) for row in rows]
        drawn.sort(key=lambda entry: -int(entry[1].sum()))
        for row, mask in drawn:
            labels[mask] = self._label(row, segments)
        return MaskTarget(labels=torch.from_numpy(labels))

    def take(self, images: NDArray[np.int64]) -> Self:
        """Return the objects of the chosen images."""
        return replace(self, objects=self.objects.take(images))

    def class_counts(self, num_classes: int) -> NDArray[np.int64]:
        """Return which classes occur in each image, ``[num_images, num_classes]``; background in all of them."""
        counts = np.zeros((len(self), num_classes), np.int64)
        images = np.repeat(np.arange(len(self)), np.diff(self.objects.offsets))
        counts[images, self.label_of[self.objects.labels]] = 1
        counts[:, self.background] = 1
        return counts

    def strata(self, num_classes: int) -> NDArray[np.int64]:
        """Return what is to be spread alike over splits: which classes occur in each image."""
        return self.class_counts(num_classes)

    def _label(self, row: int, segments: Segments) -> int:
        has_outline = bool(segments.polygons(row)) or segments.run_lengths(row) is not None
        if not has_outline or self.objects.flags[row] & (CROWD | DIFFICULT):
            return IGNORE_LABEL
        return int(self.label_of[self.objects.labels[row]])
