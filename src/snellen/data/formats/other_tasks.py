"""One kind of annotation read as another: what is on an image as the set of classes that it shows."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from snellen.data.formats.options import task_of
from snellen.data.index import DatasetIndex
from snellen.data.tables import DIFFICULT, LabelSetTable, MaskTable
from snellen.errors import DatasetError
from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, Target

__all__ = ["read_as"]


def read_as(index: DatasetIndex, target_type: type[Target]) -> DatasetIndex:
    """Return an index whose annotations are of another type, as far as they say as much.

    Raises:
        DatasetError: If they do not.
    """
    if index.target_type is target_type:
        return index
    change = _CHANGES.get((index.target_type, target_type))
    if change is None:
        wanted, found = task_of(target_type), task_of(index.target_type)
        possible = [task_of(other) for kind, other in _CHANGES if kind is index.target_type]
        message = (
            f"annotations of the task {wanted} were expected; the format {index.format} has those of {found}, which "
            f"can be read as {' or '.join([found, *possible])}. Leave the task out, or give other data."
        )
        raise DatasetError(message, file=index.root)
    return replace(index, annotations=change(index))


def _shown_objects(index: DatasetIndex) -> LabelSetTable:
    """Return the classes of the objects; one that only difficult objects have is not known.

    Source:
        Everingham et al. 2010, section 3.3 and 4.1: difficult objects count in neither direction.
    """
    table: Any = index.annotations
    shape = (len(index), len(index.classes))
    images = np.repeat(np.arange(len(index)), np.diff(table.offsets))
    is_difficult = (table.flags & DIFFICULT) != 0
    clear, difficult = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    clear[images[~is_difficult], table.labels[~is_difficult]] = True
    difficult[images[is_difficult], table.labels[is_difficult]] = True
    return LabelSetTable(shown=clear, known=clear | ~difficult)


def _shown_class(index: DatasetIndex) -> LabelSetTable:
    """Return sets of one class; nothing is known of images without one."""
    table: Any = index.annotations
    shown = table.class_counts(len(index.classes)) > 0
    known = np.broadcast_to(table.labels[:, None] >= 0, shown.shape).copy()
    return LabelSetTable(shown=shown, known=known)


def _shown_pixels(index: DatasetIndex) -> LabelSetTable:
    """Return the classes that have pixels.

    Raises:
        DatasetError: If nobody has looked which classes the label images hold.
    """
    table = index.annotations
    if not isinstance(table, MaskTable) or table.present is None:
        message = "which classes occur in each label image was expected to be known; it is not. Give a label file."
        raise DatasetError(message, file=index.root)
    return LabelSetTable(shown=table.present.copy(), known=np.ones_like(table.present))


_CHANGES: Mapping[tuple[type[Target], type[Target]], Callable[[DatasetIndex], LabelSetTable]] = MappingProxyType(
    {
        (BoxTarget, LabelSetTarget): _shown_objects,
        (ClassTarget, LabelSetTarget): _shown_class,
        (MaskTarget, LabelSetTarget): _shown_pixels,
    }
)
