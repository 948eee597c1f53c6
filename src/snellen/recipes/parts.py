"""A run that learns from a part of the training images: one of several folds, balanced subsets, or draws."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex, balanced_subsets, bootstrap, k_fold, with_splits
from snellen.errors import InputError

__all__ = ["DataPart", "PartKind", "part_of", "recorded_part"]

PartKind = Literal["fold", "balanced", "bootstrap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPart:
    """Which part.

    Attributes:
        kind: ``fold``: all images but those of the fold, which are held out. ``balanced``: all training images of the
            smallest class and as many of each other, of which every part has others. ``bootstrap``: as many images as
            there are, drawn with replacement; those that were not drawn are held out.
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
        InputError: If there are fewer images than parts, or a draw leaves none to hold out.
    """
    return index if part is None else _PARTS[part.kind](index, part)


def recorded_part(record: Mapping[str, Any]) -> DataPart | None:
    """Return the part that a run's record tells of."""
    told = record.get("part")
    return None if told is None else DataPart(**told)


def _pool(index: DatasetIndex) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
    """Return the rows of the training and validation images, and those of every other split."""
    names = [name for name in ("train", "val") if name in index.split_names]
    others = {name: index.split_rows(name) for name in index.split_names if name not in names}
    return np.sort(np.concatenate([index.split_rows(name) for name in names])), others


def _fold(index: DatasetIndex, part: DataPart) -> DatasetIndex:
    """Hold one fold of the training and validation images out, as the validation split."""
    pool, others = _pool(index)
    folds = list(k_fold(index.select(pool), part.of, part.seed))
    train, held = folds[part.number - 1]
    return with_splits(index, {"train": pool[train], "val": pool[held], **others})


def _bootstrap(index: DatasetIndex, part: DataPart) -> DatasetIndex:
    """Draw training images from those for training and validation, and validate on those that were not drawn.

    An image that was drawn k times is k rows: its own, and k - 1 behind all others, so that rows keep their numbers.

    Source:
        Breiman 1996, Bagging predictors, Machine Learning 24; out-of-bag estimates: Breiman 1996, technical report.
    """
    pool, others = _pool(index)
    drawn, held = next(islice(bootstrap(index.select(pool), part.of, part.seed), part.number - 1, None))
    if not len(held):
        raise InputError(
            f"draw {part.number} of {part.of} took every one of {len(pool)} images, or of their groups, and left none "
            "to validate on. Take another --split-seed, or --folds."
        )
    rows, times = np.unique(drawn, return_counts=True)
    repeats = np.repeat(pool[rows], times - 1)
    whole = index.select(np.concatenate([np.arange(len(index)), repeats]))
    train = np.concatenate([pool[rows], len(index) + np.arange(len(repeats))])
    return with_splits(whole, {"train": train, "val": pool[held], **others})


def _balanced(index: DatasetIndex, part: DataPart) -> DatasetIndex:
    return balanced_subsets(index, part.seed, number=part.of)[part.number - 1]


_PARTS: Mapping[PartKind, Callable[[DatasetIndex, DataPart], DatasetIndex]] = {
    "fold": _fold,
    "balanced": _balanced,
    "bootstrap": _bootstrap,
}
