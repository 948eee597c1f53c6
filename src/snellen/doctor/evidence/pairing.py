"""Whether images and labels belong together: as they are, moved by some files, or sorted otherwise."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snellen.data import ClassTable, DatasetIndex
from snellen.data.index import NO_SPLIT
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.agreement import (
    NEIGHBOURS,
    Agreement,
    class_shares,
    image_groups,
    macro_recall,
    permuted_recalls,
)
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.evidence.embeddings import Embeddings
from snellen.doctor.evidence.folds import nearest
from snellen.doctor.evidence.statistics import natural_key
from snellen.doctor.words import Text

__all__ = ["Pairing", "SplitPairing", "pairing_of_labels"]

FEWEST = 60  # images of a split that are judged
SHIFTS = (1, -1, 2, -2)  # files by which lists slip: a header line, a missing file

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPairing:
    """What the nearest images of a split know of its labels.

    Attributes:
        split: Its name; empty for images in none.
        num_images: In it.
        recall: Mean over classes of the share named rightly.
        chance: The same with permuted labels, the mean.
        spread: Standard deviation of it over permutations.
        remedy: Another pairing that does better: ``shift`` or ``order``; empty if none does.
        shift: Files by which labels slipped, if so.
        remedied: Recall of that pairing.
    """

    split: str
    num_images: int
    recall: float
    chance: float
    spread: float
    remedy: str = ""
    shift: int = 0
    remedied: float = 0.0

    @property
    def surprise(self) -> float:
        """Standard deviations by which the labels do better than permuted ones."""
        return (self.recall - self.chance) / max(self.spread, 1e-6)

    @property
    def remedied_surprise(self) -> float:
        """The same of the better pairing."""
        return (self.remedied - self.chance) / max(self.spread, 1e-6)


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """Each split that has enough images.

    Attributes:
        splits: In the order of the index.
        origin: See `Embeddings`.
    """

    ABSENT = Agreement.ABSENT

    splits: tuple[SplitPairing, ...]
    origin: str


def pairing_of_labels(index: DatasetIndex, embeddings: Embeddings, copies: ImageCopies) -> Pairing:
    """Judge each split by itself.

    Raises:
        NotCheckable: If images have no single class, or no split is large enough.
    """
    if not isinstance(index.annotations, ClassTable):
        raise NotCheckable(Agreement.ABSENT)
    labels = index.annotations.labels.astype(np.int64)
    usable = embeddings.is_readable & (labels >= 0)
    groups = image_groups(index, copies)
    found = []
    for place in (NO_SPLIT, *range(len(index.split_names))):
        rows = np.flatnonzero(usable & (index.splits == place))
        if len(rows) >= FEWEST and len(np.unique(labels[rows])) > 1:
            name = "" if place == NO_SPLIT else index.split_names[place]
            names = [index.paths[row] for row in rows.tolist()]
            found.append(_judged(name, names, labels[rows], embeddings.vectors[rows], groups[rows]))
    if not found:
        raise NotCheckable(Text(
            en=f"no split has {FEWEST} readable images of two classes", zh=f"没有子集含 {FEWEST} 张两类以上的可读图像"
        ))  # fmt: skip
    return Pairing(splits=tuple(found), origin=embeddings.origin)


def _judged(split: str, names: list[str], labels: Rows, vectors: NDArray[np.float32], groups: Rows) -> SplitPairing:
    number = int(labels.max()) + 1
    near = nearest(vectors, groups, NEIGHBOURS)[0]
    permuted = permuted_recalls(near, labels, number)
    best = ("", 0, 0.0)
    for remedy, shift, moved in _other_pairings(names, labels):
        recall = macro_recall(class_shares(near, moved, number).argmax(1), moved)
        best = max(best, (remedy, shift, recall), key=lambda entry: entry[2])
    recall = macro_recall(class_shares(near, labels, number).argmax(1), labels)
    if best[2] <= recall:
        best = ("", 0, 0.0)
    return SplitPairing(
        split=split,
        num_images=len(names),
        recall=recall,
        chance=float(permuted.mean()),
        spread=float(permuted.std()),
        remedy=best[0],
        shift=best[1],
        remedied=best[2],
    )


def _other_pairings(names: list[str], labels: Rows) -> Iterator[tuple[str, int, Rows]]:
    by_name = sorted(range(len(names)), key=names.__getitem__)
    by_count = sorted(range(len(names)), key=lambda row: natural_key(names[row]))
    for shift in SHIFTS:
        for order in (list(range(len(names))), by_name, by_count):
            moved = np.empty_like(labels)
            moved[order] = np.roll(labels[order], shift)
            yield "shift", shift, moved
    if by_name != by_count:
        for listed, meant in ((by_name, by_count), (by_count, by_name)):
            moved = np.empty_like(labels)
            moved[meant] = labels[listed]
            yield "order", 0, moved
