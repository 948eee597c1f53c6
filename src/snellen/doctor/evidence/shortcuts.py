"""Whether a label can be told from what is not the object: size, format, brightness, range, border, folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data import ClassTable, DatasetIndex, ValueTable
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.agreement import image_groups
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.evidence.drift import image_properties
from snellen.doctor.evidence.folds import grouped_folds
from snellen.doctor.evidence.foretelling import Foretold, foretold
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.evidence.knowing import annotated_numbers
from snellen.doctor.words import Text

__all__ = ["Shortcut", "Shortcuts", "shortcuts_to_labels", "source_folders"]

FEWEST = 50  # images
BINS = 20  # that a property is cut into, by its quantiles
FOLDS = 5
MOST_ROWS = 50  # that are shown
FROM_THE_FILE = ("size", "aspect", "format", "mode", "folder")  # what is not drawn in the image
FROM_THE_RANGE = ("darkest", "brightest")  # where levels begin and end, which cameras and programs decide
BORDER_PX = 2  # of a thumbnail of 32

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """What one property says of labels.

    Attributes:
        name: Of the property.
        gain: See `Foretold`.
        p: Share of permutations of what is annotated that gain as much.
        class_: The class or value that it tells best.
        rows: Of the index, images of that class that it tells, or of whose value it is nearest.
        is_value: Whether it is a value.
    """

    name: str
    gain: float
    p: float
    class_: str
    rows: tuple[int, ...]
    is_value: bool = False

    @property
    def is_from_the_file(self) -> bool:
        """Whether it is a property of the file rather than of the picture."""
        return self.name in FROM_THE_FILE

    @property
    def is_from_the_range(self) -> bool:
        """Whether it is where the levels of the picture begin or end."""
        return self.name in FROM_THE_RANGE


@dataclass(frozen=True, kw_only=True)
class Shortcuts:
    """Every property that varies, the most telling first."""

    ABSENT = Text(en="shortcuts are looked for where whole images are labelled", zh="只有整幅图像有标签时才查找捷径")

    properties: tuple[Shortcut, ...]


def shortcuts_to_labels(index: DatasetIndex, facts: ImageFacts, copies: ImageCopies) -> Shortcuts:
    """Predict labels from one property at a time.

    Raises:
        NotCheckable: If nothing is said of whole images, or there are too few.
    """
    numbers = annotated_numbers(index)
    usable = facts.is_readable & np.isfinite(numbers).any(1)
    if "train" in index.split_names:
        usable &= index.splits == index.split_names.index("train")
    rows = np.flatnonzero(usable)
    if len(rows) < FEWEST or not _varies(numbers[rows]):
        raise NotCheckable(Text(
            en=f"{FEWEST} images whose labels differ are needed", zh=f"需要至少 {FEWEST} 张标签不全相同的图像"
        ))  # fmt: skip
    numbers = numbers[rows]
    strata = numbers[:, 0].astype(np.int64) if isinstance(index.annotations, ClassTable) else np.zeros_like(rows)
    folds = grouped_folds(strata, image_groups(index, copies)[rows], FOLDS)
    found = []
    for name, values in _properties(index, facts):
        kinds = _kinds(values[rows])
        if len(np.unique(kinds)) > 1:
            told = foretold(type(index.annotations), kinds, numbers, folds)
            found.append(_shortcut(name, told, index, rows))
    return Shortcuts(properties=tuple(sorted(found, key=lambda entry: -entry.gain)))


def source_folders(index: DatasetIndex) -> NDArray[np.str_]:
    """Return the folder of each image without the names of splits and classes; empty where nothing is left."""
    plain = {name.lower() for name in (*index.split_names, *index.classes, "images")}
    folders = []
    for row in range(len(index)):
        parts = PurePosixPath(index.paths[row].replace("\\", "/")).parts[:-1]
        folders.append("/".join(part for part in parts if part.lower() not in plain and part != "/"))
    return np.array(folders, np.str_)


def _properties(index: DatasetIndex, facts: ImageFacts) -> Iterator[tuple[str, NDArray[Any]]]:
    yield from image_properties(facts).items()
    inner = facts.thumbnail[:, BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX].astype(np.float64)
    whole = facts.thumbnail.astype(np.float64)
    yield "darkest", facts.percentile(1).astype(np.float64)
    yield "brightest", facts.percentile(99).astype(np.float64)
    yield "black", facts.black.astype(np.float64)
    yield "burnt", facts.burnt.astype(np.float64)
    yield "border", (whole.sum((1, 2)) - inner.sum((1, 2))) / (whole[0].size - inner[0].size)
    yield "format", facts.format
    yield "mode", facts.mode
    yield "folder", source_folders(index)


def _kinds(values: NDArray[Any]) -> Rows:
    """Return a number for each value, equal for values in one bin."""
    if values.dtype.kind != "f" or len(np.unique(values)) <= BINS:
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    edges = np.unique(np.nanquantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.where(np.isfinite(values), np.searchsorted(edges, values), len(edges) + 1).astype(np.int64)


def _varies(numbers: NDArray[Any]) -> bool:
    known = np.isfinite(numbers)
    return bool((np.where(known, numbers, -np.inf).max(0) > np.where(known, numbers, np.inf).min(0)).any())


def _shortcut(name: str, told: Foretold, index: DatasetIndex, rows: Rows) -> Shortcut:
    return Shortcut(
        name=name,
        gain=told.gain,
        p=told.p,
        class_=index.classes[told.column],
        rows=tuple(rows[told.places][:MOST_ROWS].tolist()),
        is_value=isinstance(index.annotations, ValueTable),
    )
