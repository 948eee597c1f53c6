"""The objects of a data set as columns, and what is written of them that reading mended or left out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snellen.data import BoxTable, DatasetIndex, Problem, ValueTable
from snellen.data.tables import CROWD, DIFFICULT
from snellen.doctor.check import NotCheckable
from snellen.doctor.words import Text

__all__ = ["Objects", "class_counts_of", "objects_of", "problems_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Objects:
    """Columns with one row for each object of an index; ``n`` is their number.

    Attributes:
        images: Row of the image in the index; ``[n]``.
        boxes: xyxy in pixels of the file; ``[n, 4]``.
        labels: 0..K-1; ``[n]``.
        is_ignored: Whether it counts for nothing (crowds, difficult ones); ``[n]``.
        splits: Position of the split, or -1; ``[n]``.
        sizes: Height and width of its image, 0 where unknown; ``[n, 2]``.
    """

    ABSENT = Text(en="the data set has no boxes", zh="该数据集没有标注框")

    images: NDArray[np.int64]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int32]
    is_ignored: NDArray[np.bool_]
    splits: NDArray[np.int16]
    sizes: NDArray[np.int32]

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.labels)

    @property
    def sides(self) -> NDArray[np.float32]:
        """Width and height in pixels of the file, ``[n, 2]``."""
        return self.boxes[:, 2:] - self.boxes[:, :2]


def objects_of(index: DatasetIndex) -> Objects:
    """Return the objects of an index.

    Raises:
        NotCheckable: If its annotations are no boxes, or there is none.
    """
    table = index.annotations
    if not isinstance(table, BoxTable) or not len(table.labels):
        raise NotCheckable(Objects.ABSENT)
    images = np.repeat(np.arange(len(index)), np.diff(table.offsets))
    return Objects(
        images=images,
        boxes=table.boxes,
        labels=table.labels,
        is_ignored=(table.flags & (CROWD | DIFFICULT)) != 0,
        splits=index.splits[images],
        sizes=index.sizes[images],
    )


def class_counts_of(index: DatasetIndex) -> NDArray[np.int64]:
    """Return how often each class is annotated on each image, ``[num_images, num_classes]``.

    Raises:
        NotCheckable: If numbers are annotated, and no classes.
    """
    if isinstance(index.annotations, ValueTable):
        raise NotCheckable(Text(en="the data set has values, not classes", zh="该数据集标注的是数值，不是类别"))
    return index.annotations.class_counts(len(index.classes))


def problems_of(index: DatasetIndex, *codes: str) -> tuple[tuple[Problem, ...], int]:
    """Return the problems of some codes that are named one by one, and how many there are in all."""
    found = [problem for problem in index.problems if problem.code in codes]
    named = tuple(problem for problem in found if problem.count == 1 or problem.file)
    return named, sum(problem.count for problem in found)
