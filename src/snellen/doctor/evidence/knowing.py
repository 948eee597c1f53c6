"""How much the nearest images know of what is annotated: the share told rightly of classes, sets of them, values."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data import ClassTable, DatasetIndex, LabelSetTable, ValueTable
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.agreement import PERMUTATIONS, class_shares, macro_recall
from snellen.doctor.words import Text

__all__ = ["annotated_numbers", "permuted_shares", "share_told"]

FEWEST = 10  # images with a class and without it, so that there is a recall to speak of
_MANY_ROWS = 20_000  # from which a quarter of the permutations will do

Rows = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]


def annotated_numbers(index: DatasetIndex) -> Floats:
    """Return what is annotated as numbers, ``[images, columns]``, nan where nothing is known.

    Classes are one column of labels; sets have a column of 0 and 1 for each class, values one for each value.

    Raises:
        NotCheckable: If what is annotated is not said of whole images.
    """
    table = index.annotations
    if isinstance(table, ClassTable):
        labels = table.labels.astype(np.float64)
        return np.where(labels >= 0, labels, np.nan)[:, None]
    if isinstance(table, LabelSetTable):
        return np.where(table.known, table.shown.astype(np.float64), np.nan)
    if isinstance(table, ValueTable):
        return np.where(np.isfinite(table.values), table.values, np.nan)
    raise NotCheckable(Text(
        en="what whole images are labelled with is compared with their looks; here objects or pixels are",
        zh="比较的是整幅图像的标签与外观；这里标注的是目标或像素",
    ))  # fmt: skip


def share_told(kind: type[Any], near: Rows, numbers: Floats) -> float:
    """Return the share that the nearest images tell rightly; nan where nothing differs.

    Of classes it is the recall, mean over classes; of sets the mean recall of showing and not showing a class, mean
    over classes; of values the share of pairs of images that are told in the right order, mean over values.

    Args:
        kind: Of the table of annotations.
        near: Rows of the nearest images, ``[n, k]``.
        numbers: See `annotated_numbers`, ``[n, columns]``.

    Source:
        Of values: Kendall's rank correlation, ``(1 + tau) / 2``.
    """
    return _TOLD[kind](near, numbers)


def permuted_shares(kind: type[Any], near: Rows, numbers: Floats, seed: int = 0) -> Floats:
    """Return the same with permuted annotations, once for each permutation."""
    chance = np.random.default_rng(seed)
    rounds = PERMUTATIONS if len(numbers) <= _MANY_ROWS else PERMUTATIONS // 4
    return np.array([share_told(kind, near, chance.permutation(numbers)) for _ in range(rounds)])


def _classes_told(near: Rows, numbers: Floats) -> float:
    labels = numbers[:, 0].astype(np.int64)
    if len(np.unique(labels)) < 2:
        return float("nan")
    return macro_recall(np.asarray(class_shares(near, labels, int(labels.max()) + 1).argmax(1), np.int64), labels)


def _sets_told(near: Rows, numbers: Floats) -> float:
    known = np.isfinite(numbers)
    shown = np.where(known, numbers, 0)
    counts = known[near].sum(1)
    shares = shown[near].sum(1) / np.maximum(counts, 1)
    number = np.maximum(known.sum(0), 1)
    usual = shown.sum(0) / number
    told = np.where(counts > 0, shares > usual, usual > 0.5)
    positive, negative = (shown > 0) & known, (shown == 0) & known
    enough = (positive.sum(0) >= FEWEST) & (negative.sum(0) >= FEWEST)
    if not enough.any():
        return float("nan")
    recalls = [
        (right & wanted)[:, enough].sum(0) / wanted[:, enough].sum(0)
        for right, wanted in ((told, positive), (~told, negative))
    ]
    return float(np.mean(recalls))


def _values_told(near: Rows, numbers: Floats) -> float:
    from scipy.stats import kendalltau  # noqa: PLC0415 - takes a second to import

    told = []
    for column in numbers.T:
        known = np.isfinite(column)
        beside = np.where(known, column, 0)[near].sum(1) / np.maximum(known[near].sum(1), 1)
        usable = known & known[near].any(1)
        if usable.sum() >= FEWEST and len(np.unique(column[usable])) > 1 and len(np.unique(beside[usable])) > 1:
            told.append((1 + float(kendalltau(beside[usable], column[usable]).statistic)) / 2)
    return float(np.mean(told)) if told else float("nan")


_TOLD: Mapping[type[Any], Callable[[Rows, Floats], float]] = {
    ClassTable: _classes_told,
    LabelSetTable: _sets_told,
    ValueTable: _values_told,
}
