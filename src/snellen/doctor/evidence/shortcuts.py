"""Whether a label can be told from what is not the object: size, format, brightness, range, border, folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data import ClassTable, DatasetIndex
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.agreement import image_groups, macro_recall
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.evidence.drift import image_properties
from snellen.doctor.evidence.folds import grouped_folds
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.words import Text

__all__ = ["Shortcut", "Shortcuts", "shortcuts_to_labels", "source_folders"]

FEWEST = 50  # images
BINS = 20  # that a property is cut into, by its quantiles
FOLDS = 5
PERMUTATIONS = 100
FROM_THE_FILE = ("size", "aspect", "format", "mode", "folder")  # what is not drawn in the image
FROM_THE_RANGE = ("darkest", "brightest")  # where levels begin and end, which cameras and programs decide
BORDER_PX = 2  # of a thumbnail of 32

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """What one property says of labels.

    Attributes:
        name: Of the property.
        gain: Out-of-fold recall (mean over classes) between guessing, 0, and always right, 1.
        p: Share of permutations of the labels that gain as much.
        class_: The class that it tells best.
        rows: Of the index, images of that class that it tells.
    """

    name: str
    gain: float
    p: float
    class_: str
    rows: tuple[int, ...]

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

    ABSENT = Text(
        en="shortcuts are looked for where every image has one class", zh="只有每张图像有一个类别时才查找捷径"
    )

    properties: tuple[Shortcut, ...]


def shortcuts_to_labels(index: DatasetIndex, facts: ImageFacts, copies: ImageCopies) -> Shortcuts:
    """Predict labels from one property at a time.

    Raises:
        NotCheckable: If images have no single class, or there are too few.
    """
    if not isinstance(index.annotations, ClassTable):
        raise NotCheckable(Shortcuts.ABSENT)
    labels = index.annotations.labels.astype(np.int64)
    usable = facts.is_readable & (labels >= 0)
    if "train" in index.split_names:
        usable &= index.splits == index.split_names.index("train")
    rows = np.flatnonzero(usable)
    if len(rows) < FEWEST or len(np.unique(labels[rows])) < 2:
        raise NotCheckable(Text(
            en=f"{FEWEST} images of two classes are needed", zh=f"需要两个类别的至少 {FEWEST} 张图像"
        ))  # fmt: skip
    folds = grouped_folds(labels[rows], image_groups(index, copies)[rows], FOLDS)
    found = []
    for name, values in _properties(index, facts):
        kinds = _kinds(values[rows])
        if len(np.unique(kinds)) > 1:
            found.append(_judged(name, kinds, labels[rows], folds, rows, index.classes))
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


def _judged(name: str, kinds: Rows, labels: Rows, folds: Rows, rows: Rows, classes: tuple[str, ...]) -> Shortcut:
    named = _named(kinds, labels, folds)
    guess = 1 / len(np.unique(labels))
    gain = (macro_recall(named, labels) - guess) / (1 - guess)
    chance = np.random.default_rng(0)
    beaten = 0
    for _ in range(PERMUTATIONS):
        permuted = chance.permutation(labels)
        beaten += (macro_recall(_named(kinds, permuted, folds), permuted) - guess) / (1 - guess) >= gain
    right = named == labels
    recalls = [
        float(right[labels == label].mean()) if (labels == label).any() else 0.0 for label in range(len(classes))
    ]
    best = int(np.argmax(recalls))
    return Shortcut(
        name=name,
        gain=gain,
        p=(1 + beaten) / (1 + PERMUTATIONS),
        class_=classes[best],
        rows=tuple(rows[right & (labels == best)][:50].tolist()),
    )


def _named(kinds: Rows, labels: Rows, folds: Rows) -> Rows:
    """Return the class that is relatively most frequent in the bin of each row, in the other folds."""
    number = int(labels.max()) + 1
    bins = int(kinds.max()) + 1
    tables = np.zeros((FOLDS, bins, number))
    np.add.at(tables, (folds, kinds, labels), 1)
    others = tables.sum(0) - tables
    shares = others / np.maximum(others.sum(1, keepdims=True), 1)  # of each class, so that rare ones count alike
    return np.asarray(shares.argmax(2)[folds, kinds], np.int64)
