"""A run that learns from a part of the training images: one of several folds, or of several balanced subsets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from snellen.data import DatasetIndex, balanced_subsets, k_fold, with_splits

__all__ = ["DataPart", "PartKind", "part_of", "recorded_part"]

PartKind = Literal["fold", "balanced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPart:
    """Which part.

    Attributes:
        kind: ``fold``: all images but those of the fold, which are held out. ``balanced``: all training images of the
            smallest class and as many of each other, of which every part has others.
        number: From 1.
        of: How many there are.
        seed: Of the division, the same for all.
    """

    kind: PartKind
    number: int
    of: int
    seed: int


def part_of(index: DatasetIndex, part: DataPart | None) -> DatasetIndex:
    """Return a data set with splits as a run on a part sees it; the test images stay what they are.

    Raises:
        InputError: If there are fewer images than parts.
    """
    return index if part is None else _PARTS[part.kind](index, part)


def recorded_part(record: Mapping[str, Any]) -> DataPart | None:
    """Return the part that a run's record tells of."""
    told = record.get("part")
    return None if told is None else DataPart(**told)


def _fold(index: DatasetIndex, part: DataPart) -> DatasetIndex:
    """Hold one fold of the training and validation images out, as the validation split."""
    names = [name for name in ("train", "val") if name in index.split_names]
    pool = np.sort(np.concatenate([index.split_rows(name) for name in names]))
    folds = list(k_fold(index.select(pool), part.of, part.seed))
    train, held = folds[part.number - 1]
    others = {name: index.split_rows(name) for name in index.split_names if name not in names}
    return with_splits(index, {"train": pool[train], "val": pool[held], **others})


def _balanced(index: DatasetIndex, part: DataPart) -> DatasetIndex:
    return balanced_subsets(index, part.seed, number=part.of)[part.number - 1]


_PARTS: Mapping[PartKind, Callable[[DatasetIndex, DataPart], DatasetIndex]] = {
    "fold": _fold,
    "balanced": _balanced,
}
