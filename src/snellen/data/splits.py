"""Dividing a data set: pure functions from an index and a seed to rows, or to an index with splits."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snellen.data.index import NO_SPLIT, DatasetIndex
from snellen.data.problems import Problem
from snellen.errors import InputError

__all__ = [
    "bootstrap",
    "ensure_splits",
    "k_fold",
    "leave_one_out",
    "stratified",
    "train_dev_splits",
    "with_splits",
]

Rows = NDArray[np.int64]
VAL_SHARE = 0.15  # of the images that a data set gives for training, when it has no validation split
TEST_SHARE = 0.15


def stratified(index: DatasetIndex, shares: Mapping[str, float], seed: int) -> dict[str, Rows]:
    """Return rows for each named share, with the classes or values spread alike; groups are never torn apart.

    Images with several classes are spread by iterative stratification: the rarest class first, each image to
    the part that most wants it. Of values, each tenth of the sorted numbers is spread as a class is.

    Args:
        index: What to divide.
        shares: Name of part → weight above 0; weights are normalised.
        seed: Decides ties and order.

    Returns:
        Rising rows per name; every row is in exactly one.

    Raises:
        InputError: If no share is above 0, or one is negative.

    Source:
        Sechidis, Tsoumakas, Vlahavas 2011, On the stratification of multi-label data, algorithm 1. Differs:
        a group of images is placed as one with its counts added, and classes of an image are counted, not
        only whether they occur.
    """
    weights = np.array(list(shares.values()), np.float64)
    if not len(weights) or (weights < 0).any() or weights.sum() <= 0:
        raise InputError(f"shares must be at least 0 and one above 0; got {dict(shares)}. Give weights such as 0.8.")
    counts = _strata(index)
    group_of = np.arange(len(index)) if index.groups is None else np.unique(index.groups, return_inverse=True)[1]
    number = int(group_of.max(initial=-1)) + 1
    grouped = np.zeros((number, counts.shape[1]), np.int64)
    np.add.at(grouped, group_of, counts)
    images = np.bincount(group_of, minlength=number)
    part = _placed(grouped, images, weights / weights.sum(), np.random.default_rng(seed))
    return {name: np.flatnonzero(part[group_of] == place) for place, name in enumerate(shares)}


def k_fold(index: DatasetIndex, folds: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield (training rows, held-out rows) for each fold, stratified, or by group where groups are known.

    Raises:
        InputError: If ``folds`` is below 2 or above the number of images (or groups).
    """
    units = len(index) if index.groups is None else len(np.unique(index.groups))
    if not 2 <= folds <= units:
        raise InputError(f"folds must be within 2..{units}, the number of images or groups; got {folds}.")
    if index.groups is not None:
        from sklearn.model_selection import GroupKFold  # noqa: PLC0415 - takes a second to import

        splitter = GroupKFold(folds, shuffle=True, random_state=seed)
        for train, held in splitter.split(np.zeros(len(index)), groups=index.groups):
            yield train.astype(np.int64), held.astype(np.int64)
        return
    parts = stratified(index, {str(fold): 1.0 for fold in range(folds)}, seed)
    everything = np.arange(len(index))
    for held in parts.values():
        yield np.setdiff1d(everything, held), held


def leave_one_out(index: DatasetIndex) -> Iterator[tuple[Rows, Rows]]:
    """Yield (training rows, held-out rows) with one image, or one group, held out at a time."""
    from sklearn.model_selection import LeaveOneGroupOut, LeaveOneOut  # noqa: PLC0415 - takes a second to import

    splitter = LeaveOneOut() if index.groups is None else LeaveOneGroupOut()
    for train, held in splitter.split(np.zeros(len(index)), groups=index.groups):
        yield train.astype(np.int64), held.astype(np.int64)


def bootstrap(index: DatasetIndex, rounds: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield (rows drawn with replacement, rows not drawn); whole groups are drawn where groups are known.

    Source:
        Efron, Tibshirani 1993, An Introduction to the Bootstrap, chapter 17.
    """
    group_of = np.arange(len(index)) if index.groups is None else np.unique(index.groups, return_inverse=True)[1]
    members = [np.flatnonzero(group_of == group) for group in range(int(group_of.max(initial=-1)) + 1)]
    for generator in map(np.random.default_rng, np.random.SeedSequence(seed).spawn(rounds)):
        drawn = generator.integers(len(members), size=len(members))
        chosen = np.concatenate([members[group] for group in drawn])
        yield chosen, np.setdiff1d(np.arange(len(index)), chosen)


def train_dev_splits(index: DatasetIndex, shares: Mapping[str, float], seed: int, *, train_dev: float) -> DatasetIndex:
    """Return the index with a further split ``train-dev`` cut from ``train``.

    It comes from where the training images come from, so that its error tells overfitting from a shift of
    the data.

    Args:
        index: If it has no split ``train``, all splits are made from ``shares`` first.
        shares: Such as ``{"train": 0.7, "val": 0.15, "test": 0.15}``.
        seed: See `stratified`.
        train_dev: Share of the training images.

    Source:
        Ng 2018, Machine Learning Yearning, chapter 40.
    """
    if "train" not in index.split_names:
        index = with_splits(index, stratified(index, shares, seed))
    return _carved(index, {"train-dev": train_dev}, seed)


def with_splits(index: DatasetIndex, parts: Mapping[str, Rows]) -> DatasetIndex:
    """Return the index with the splits given by rows; rows in no part are in no split."""
    splits = np.full(len(index), NO_SPLIT, np.int16)
    for place, rows in enumerate(parts.values()):
        splits[rows] = place
    return replace(index, splits=splits, split_names=tuple(parts))


def ensure_splits(index: DatasetIndex, seed: int) -> DatasetIndex:
    """Return an index that has the splits train, val and test; those that the format has stay as they are.

    Missing ones are cut from the training images (or from images in no split), stratified by class, groups
    kept together; a note in ``problems`` says what was made. A format's own test split without a val keeps
    its test: only val is made. If only val is there, no test is made: val is where one chooses, and taking
    more from few images costs more than it tells.

    Raises:
        InputError: If there is nothing to train on.
    """
    named = set(index.split_names)
    if not named or "train" not in named:
        free = np.flatnonzero(index.splits == NO_SPLIT)
        if not len(free):
            named_splits = ", ".join(index.split_names)
            message = (
                f"images to train on were expected; all {len(index)} images are in {named_splits}. "
                "Put the training images into a split called train."
            )
            raise InputError(message)
        codes = np.where(index.splits == NO_SPLIT, len(index.split_names), index.splits).astype(np.int16)
        index = replace(index, splits=codes, split_names=(*index.split_names, "train"))
    wanted = {} if "val" in named else {"val": VAL_SHARE}
    if not named & {"val", "test"}:
        wanted["test"] = TEST_SHARE
    if not wanted:
        return index
    made = _carved(index, wanted, seed)
    counts = ", ".join(f"{name} {len(made.split_rows(name))}" for name in ("train", *wanted))
    kept = "groups kept together" if index.groups is not None else "each image on its own"
    note = Problem(
        code="split-made",
        message=f"the data set has no {' and no '.join(wanted)}; made from train with seed {seed}, "
        f"classes spread alike, {kept}: {counts}.",
        fix="divide the data set yourself if images belong together",
        severity="note",
    )
    return replace(made, problems=(*index.problems, note))


def _carved(index: DatasetIndex, shares: Mapping[str, float], seed: int) -> DatasetIndex:
    train = index.split_rows("train")
    parts = stratified(index.select(train), {"train": 1.0 - sum(shares.values()), **shares}, seed)
    names = (*index.split_names, *(name for name in shares if name not in index.split_names))
    splits = index.splits.copy()
    for name in shares:
        splits[train[parts[name]]] = names.index(name)
    return replace(index, splits=splits, split_names=names)


def _strata(index: DatasetIndex) -> NDArray[np.int64]:
    """Return the counts to be spread: classes or tenths of values, and a further column for images that have none."""
    counts = index.annotations.strata(len(index.classes))
    return np.concatenate([counts, (counts.sum(1) == 0)[:, None].astype(np.int64)], axis=1)


def _placed(
    counts: NDArray[np.int64],
    images: NDArray[np.int64],
    weights: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the part of every unit; ``wanted`` is what each part still lacks of each class."""
    order = generator.permutation(len(counts))
    wanted = weights[:, None] * counts.sum(0)
    room = weights * images.sum()
    part = np.full(len(counts), -1, np.int64)
    left = counts.sum(0)
    waiting = order
    while len(waiting):
        present = np.flatnonzero(left > 0)
        rarest = present[np.argmin(left[present])]
        chosen = waiting[counts[waiting, rarest] > 0]
        for unit in chosen.tolist():
            best = max(range(len(weights)), key=lambda place: (wanted[place, rarest], room[place]))
            part[unit] = best
            wanted[best] -= counts[unit]
            room[best] -= images[unit]
            left -= counts[unit]
        waiting = waiting[part[waiting] < 0]
    return part
