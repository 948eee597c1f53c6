"""One kind of annotation read as another: what an image shows as a set of classes, outlines as a map of classes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from snellen.data.formats.options import task_of
from snellen.data.index import DatasetIndex
from snellen.data.outlines import OutlineTable
from snellen.data.tables import DIFFICULT, LabelSetTable, MaskTable
from snellen.errors import DatasetError
from snellen.structures import IGNORE_LABEL, BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, Target

__all__ = ["read_as"]

BACKGROUND = "background"  # case does not matter


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
    return change(index)


def _shown_objects(index: DatasetIndex) -> DatasetIndex:
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
    return replace(index, annotations=LabelSetTable(shown=clear, known=clear | ~difficult))


def _shown_class(index: DatasetIndex) -> DatasetIndex:
    """Return sets of one class; nothing is known of images without one."""
    table: Any = index.annotations
    shown = table.class_counts(len(index.classes)) > 0
    known = np.broadcast_to(table.labels[:, None] >= 0, shown.shape).copy()
    return replace(index, annotations=LabelSetTable(shown=shown, known=known))


def _shown_pixels(index: DatasetIndex) -> DatasetIndex:
    """Return the classes that have pixels.

    Raises:
        DatasetError: If nobody has looked which classes the label images hold.
    """
    table = index.annotations
    if isinstance(table, MaskTable) and table.present is None:
        message = "which classes occur in each label image was expected to be known; it is not. Give a label file."
        raise DatasetError(message, file=index.root)
    shown = table.class_counts(len(index.classes)) > 0
    return replace(index, annotations=LabelSetTable(shown=shown, known=np.ones_like(shown)))


def _drawn_outlines(index: DatasetIndex) -> DatasetIndex:
    """Return label maps drawn from polygons and run lengths, with background as a class.

    Raises:
        DatasetError: If there are boxes alone, or too many classes for a label map.
    """
    table: Any = index.annotations
    if table.segments is None:
        message = (
            "objects with outlines (polygons or run lengths) were expected, to draw masks of them; there are boxes "
            "alone. Leave the task out to learn boxes, or give outlines."
        )
        raise DatasetError(message, file=index.root)
    folded = [name.casefold() for name in index.classes]
    has_own = BACKGROUND in folded
    classes = index.classes if has_own else (BACKGROUND, *index.classes)
    if len(classes) > IGNORE_LABEL:
        message = f"at most {IGNORE_LABEL} classes fit into a label map; got {len(classes)}, background included."
        raise DatasetError(f"{message} Merge classes.", file=index.root)
    label_of = (np.arange(len(index.classes)) + (not has_own)).astype(np.uint8)
    background = folded.index(BACKGROUND) if has_own else 0
    return replace(
        index,
        classes=classes,
        annotations=OutlineTable(objects=table, label_of=label_of, background=background),
    )


_CHANGES: Mapping[tuple[type[Target], type[Target]], Callable[[DatasetIndex], DatasetIndex]] = MappingProxyType(
    {
        (BoxTarget, LabelSetTarget): _shown_objects,
        (BoxTarget, MaskTarget): _drawn_outlines,
        (ClassTarget, LabelSetTarget): _shown_class,
        (MaskTarget, LabelSetTarget): _shown_pixels,
    }
)
