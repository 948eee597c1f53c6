"""What all writers share: image files copied under names that do not collide."""

import shutil
from collections import Counter
from pathlib import Path
from typing import TypeVar

import numpy as np

from snellen.data.checking import verify
from snellen.data.index import DatasetIndex
from snellen.data.tables import BoxTable, ClassTable, MaskTable
from snellen.errors import InputError

__all__ = ["copied", "empty_folder", "file_names", "sized", "split_of", "table_of"]

Table = TypeVar("Table", BoxTable, ClassTable, MaskTable)


def empty_folder(folder: Path) -> None:
    """Make a folder.

    Raises:
        InputError: If something is in it, since two data sets in one folder are none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InputError(f"an empty folder was expected to write to; {folder} holds files. Give a new one.")


def table_of(index: DatasetIndex, kind: type[Table], format_name: str) -> Table:
    """Return the annotations of an index if they are of the kind that a format can hold.

    Raises:
        InputError: If they are of another kind.
    """
    if not isinstance(index.annotations, kind):
        message = (
            f"the format {format_name} holds {kind.__name__}; the data set has "
            f"{type(index.annotations).__name__}. "
            "Choose a format for it."
        )
        raise InputError(message)
    return index.annotations


def sized(index: DatasetIndex) -> DatasetIndex:
    """Return the index with all sizes known."""
    return index if bool((index.sizes > 0).all()) else verify(index)


def file_names(index: DatasetIndex) -> list[str]:
    """Return a file name for each image, unique even without its ending."""
    names = [Path(index.paths[row]).name for row in range(len(index))]
    stems = Counter(Path(name).stem.lower() for name in names)
    return [
        name if stems[Path(name).stem.lower()] == 1 else f"{Path(name).stem}_{row:06d}{Path(name).suffix}"
        for row, name in enumerate(names)
    ]


def split_of(index: DatasetIndex, row: int) -> str:
    """Return the name of an image's split, or an empty text."""
    code = int(np.asarray(index.splits[row]))
    return "" if code < 0 else index.split_names[code]


def copied(source: Path, target: Path) -> None:
    """Copy a file, and make the folder for it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
