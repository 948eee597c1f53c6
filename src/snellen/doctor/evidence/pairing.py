"""Whether images and labels belong together: as they are, moved by some files, or sorted otherwise."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.data.index import NO_SPLIT
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.agreement import NEIGHBOURS, image_groups
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.evidence.embeddings import Embeddings
from snellen.doctor.evidence.folds import nearest
from snellen.doctor.evidence.knowing import Floats, annotated_numbers, permuted_shares, share_told
from snellen.doctor.evidence.statistics import natural_key
from snellen.doctor.words import Text

__all__ = ["Pairing", "SplitPairing", "pairing_of_labels"]

FEWEST = 60  # images of a split that are judged
SHIFTS = (1, -1, 2, -2)  # files by which lists slip: a header line, a missing file

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPairing:
    """What the nearest images of a split know of its labels, sets of labels or values.

    Attributes:
        split: Its name; empty for images in none.
        num_images: In it.
        recall: Share told rightly, see ``share_told``.
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

    ABSENT = Text(
        en="what whole images are labelled with is compared with their looks, and there is no such data",
        zh="比较的是整幅图像的标签与外观，这里没有此类数据",
    )

    splits: tuple[SplitPairing, ...]
    origin: str


def pairing_of_labels(index: DatasetIndex, embeddings: Embeddings, copies: ImageCopies) -> Pairing:
    """Judge each split by itself.

    Raises:
        NotCheckable: If nothing is said of whole images, or no split is large enough.
    """
    numbers = annotated_numbers(index)
    usable = embeddings.is_readable & np.isfinite(numbers).any(1)
    groups = image_groups(index, copies)
    found = []
    for place in (NO_SPLIT, *range(len(index.split_names))):
        rows = np.flatnonzero(usable & (index.splits == place))
        if len(rows) >= FEWEST:
            name = "" if place == NO_SPLIT else index.split_names[place]
            near = nearest(embeddings.vectors[rows], groups[rows], NEIGHBOURS)[0]
            told = _Told(kind=type(index.annotations), near=near, numbers=numbers[rows])
            if np.isfinite(told.share()):
                found.append(_judged(name, [index.paths[row] for row in rows.tolist()], told))
    if not found:
        raise NotCheckable(Text(
            en=f"no split has {FEWEST} readable images whose labels differ",
            zh=f"没有子集含 {FEWEST} 张标签不全相同的可读图像",
        ))  # fmt: skip
    return Pairing(splits=tuple(found), origin=embeddings.origin)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Told:
    """What the nearest images of a split tell."""

    kind: type[Any]
    near: Rows
    numbers: Floats

    def share(self, numbers: Floats | None = None) -> float:
        return share_told(self.kind, self.near, self.numbers if numbers is None else numbers)


def _judged(split: str, names: list[str], told: _Told) -> SplitPairing:
    recall = told.share()
    permuted = permuted_shares(told.kind, told.near, told.numbers)
    best = ("", 0, 0.0)
    for remedy, shift, moved in _other_pairings(names, told.numbers):
        best = max(best, (remedy, shift, told.share(moved)), key=lambda entry: entry[2])
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


def _other_pairings(names: list[str], numbers: Floats) -> Iterator[tuple[str, int, Floats]]:
    by_name = sorted(range(len(names)), key=names.__getitem__)
    by_count = sorted(range(len(names)), key=lambda row: natural_key(names[row]))
    for shift in SHIFTS:
        for order in (list(range(len(names))), by_name, by_count):
            moved = np.empty_like(numbers)
            moved[order] = np.roll(numbers[order], shift, axis=0)
            yield "shift", shift, moved
    if by_name != by_count:
        for listed, meant in ((by_name, by_count), (by_count, by_name)):
            moved = np.empty_like(numbers)
            moved[meant] = numbers[listed]
            yield "order", 0, moved
