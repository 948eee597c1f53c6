"""What is annotated of whole images, as arrays: one class, a set of classes, or numbers."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.data.sharing import SharedRecord
from snellen.structures import ClassTarget, LabelSetTarget, Target, ValueTarget

__all__ = ["ClassTable", "LabelSetTable", "ValueTable"]

_NUM_STRATA = 10  # of each value: splits then have the same deciles


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassTable(SharedRecord):
    """One class per image; -1 where it is not known.

    Attributes:
        labels: ``[num_images]``.
    """

    labels: NDArray[np.int32]

    @property
    def target_type(self) -> type[Target]:
        """What `target` returns."""
        return ClassTarget

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def target(self, image: int, size: tuple[int, int], root: Path, num_classes: int) -> ClassTarget:
        """Return the class as a distribution; all zero where it is not known, so that it pulls nowhere."""
        del size, root
        probs = torch.zeros(num_classes)
        if self.labels[image] >= 0:
            probs[int(self.labels[image])] = 1.0
        return ClassTarget(probs=probs)

    def take(self, images: NDArray[np.int64]) -> Self:
        """Return the classes of the chosen images."""
        return replace(self, labels=self.labels[images])

    def class_counts(self, num_classes: int) -> NDArray[np.int64]:
        """Return one-hot rows, ``[num_images, num_classes]``."""
        return np.asarray(self.labels[:, None] == np.arange(num_classes), dtype=np.int64)

    def strata(self, num_classes: int) -> NDArray[np.int64]:
        """Return what is to be spread alike over splits."""
        return self.class_counts(num_classes)


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelSetTable(SharedRecord):
    """Which classes each image shows: several, one or none.

    Attributes:
        shown: ``[num_images, num_classes]``; False where not known.
        known: Whether it is known that the image shows the class or does not, ``[num_images, num_classes]``.
    """

    shown: NDArray[np.bool_]
    known: NDArray[np.bool_]

    @property
    def target_type(self) -> type[Target]:
        """What `target` returns."""
        return LabelSetTarget

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.shown)

    def target(self, image: int, size: tuple[int, int], root: Path, num_classes: int) -> LabelSetTarget:
        """Return the classes of an image."""
        del size, root, num_classes
        return LabelSetTarget(
            shown=torch.from_numpy(self.shown[image].astype(np.float32)),
            known=torch.from_numpy(self.known[image].copy()),
        )

    def take(self, images: NDArray[np.int64]) -> Self:
        """Return the label sets of the chosen images."""
        return replace(self, shown=self.shown[images], known=self.known[images])

    def class_counts(self, num_classes: int) -> NDArray[np.int64]:
        """Return which classes each image is known to show, ``[num_images, num_classes]``."""
        del num_classes
        return self.shown.astype(np.int64)

    def strata(self, num_classes: int) -> NDArray[np.int64]:
        """Return what is to be spread alike over splits."""
        return self.class_counts(num_classes)


@dataclass(frozen=True, eq=False, kw_only=True)
class ValueTable(SharedRecord):
    """Numbers that belong to each image. The names of the classes of its index are the names of the values.

    Attributes:
        values: In their own units, nan where missing; ``[num_images, num_values]``.
    """

    values: NDArray[np.float64]

    @property
    def target_type(self) -> type[Target]:
        """What `target` returns."""
        return ValueTarget

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.values)

    def target(self, image: int, size: tuple[int, int], root: Path, num_classes: int) -> ValueTarget:
        """Return the values of an image."""
        del size, root, num_classes
        row = self.values[image]
        known = np.isfinite(row)
        return ValueTarget(
            values=torch.from_numpy(np.where(known, row, 0.0).astype(np.float32)), known=torch.from_numpy(known)
        )

    def take(self, images: NDArray[np.int64]) -> Self:
        """Return the values of the chosen images."""
        return replace(self, values=self.values[images])

    def class_counts(self, num_classes: int) -> NDArray[np.int64]:
        """Return which values are known of each image, ``[num_images, num_values]``."""
        del num_classes
        return np.isfinite(self.values).astype(np.int64)

    def strata(self, num_classes: int) -> NDArray[np.int64]:
        """Return in which tenth of its range of ranks each value lies, one column for each value and tenth."""
        del num_classes
        columns = [_tenths(column) for column in self.values.T]
        return np.concatenate(columns, axis=1) if columns else np.zeros((len(self), 0), np.int64)


def _tenths(column: NDArray[np.float64]) -> NDArray[np.int64]:
    known = np.isfinite(column)
    if not known.any():
        return np.zeros((len(column), 1), np.int64)
    edges = np.unique(np.quantile(column[known], np.linspace(0, 1, _NUM_STRATA + 1)[1:-1]))
    place = np.searchsorted(edges, np.where(known, column, 0.0), side="right")
    one_hot = place[:, None] == np.arange(len(edges) + 1)
    return np.asarray(one_hot & known[:, None], dtype=np.int64)
