"""What one property of images foretells of classes, sets of classes and values, out of fold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data import ClassTable, LabelSetTable, ValueTable
from snellen.doctor.evidence.agreement import macro_recall

__all__ = ["Foretold", "foretold"]

PERMUTATIONS = 100
FEWEST = 10  # images with a class and without it, or with a value

Rows = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
Gains = tuple[float, int, Rows]  # gain, the column that is told best, images of which it is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """How well a property tells what is annotated.

    Attributes:
        gain: Between guessing, 0, and always right, 1: of classes the recall, mean over them; of sets the recall of
            showing and not showing the class that is told best; of values the share of the variance of the ranks of the
            value that is told best.
        p: Share of permutations of what is annotated that gain as much.
        column: The class or value that is told best.
        places: Images of that class that are told, or of whose value the telling is nearest, the nearest first.
    """

    gain: float
    p: float
    column: int
    places: Rows


def foretold(kind: type[Any], kinds: Rows, numbers: Floats, folds: Rows) -> Foretold:
    """Return how well the bin of a property tells what is annotated.

    Args:
        kind: Of the table of annotations.
        kinds: Bin of each image, ``[n]``.
        numbers: See `annotated_numbers`, ``[n, columns]``.
        folds: Fold of each image, ``[n]``.
    """
    gains = _GAINS[kind]
    gain, column, places = gains(kinds, numbers, folds)
    chance = np.random.default_rng(0)
    beaten = sum(gains(kinds, chance.permutation(numbers), folds)[0] >= gain for _ in range(PERMUTATIONS))
    return Foretold(gain=gain, p=(1 + beaten) / (1 + PERMUTATIONS), column=column, places=places)


def _of_classes(kinds: Rows, numbers: Floats, folds: Rows) -> Gains:
    labels = numbers[:, 0].astype(np.int64)
    shown = (labels[:, None] == np.arange(labels.max() + 1)).astype(np.float64)
    counts = _others(kinds, shown, folds)
    # Shares of each class, so that rare ones count alike.
    named = (counts / np.maximum(_others(np.zeros_like(kinds), shown, folds), 1)).argmax(1)
    right = named == labels
    guess = 1 / len(np.unique(labels))
    recalls = (shown * right[:, None]).sum(0) / np.maximum(shown.sum(0), 1)
    best = int(recalls.argmax())
    gain = (macro_recall(np.asarray(named, np.int64), labels) - guess) / (1 - guess)
    return gain, best, np.flatnonzero(right & (labels == best))


def _of_sets(kinds: Rows, numbers: Floats, folds: Rows) -> Gains:
    known = np.isfinite(numbers)
    shown, absent = np.where(known, numbers, 0), np.where(known, 1 - numbers, 0)
    enough = (shown.sum(0) >= FEWEST) & (absent.sum(0) >= FEWEST)
    everywhere = np.zeros_like(kinds)
    shares = [_others(kinds, part, folds) / np.maximum(_others(everywhere, part, folds), 1) for part in (shown, absent)]
    told = shares[0] > shares[1]
    recalls = [(right * part).sum(0) / np.maximum(part.sum(0), 1) for right, part in ((told, shown), (~told, absent))]
    gains = np.where(enough, recalls[0] + recalls[1] - 1, -1.0)
    best = int(gains.argmax())
    return float(gains[best]), best, np.flatnonzero(told[:, best] & (shown[:, best] > 0))


def _of_values(kinds: Rows, numbers: Floats, folds: Rows) -> Gains:
    known = np.isfinite(numbers)
    ranks = np.where(known, numbers, np.inf).argsort(0, kind="stable").argsort(0, kind="stable").astype(np.float64)
    ranks = np.where(known, ranks, 0) / np.maximum(known.sum(0) - 1, 1)  # 0..1; equal values get neighbouring ranks
    counts = _others(kinds, known.astype(np.float64), folds)
    told = np.where(counts > 0, _others(kinds, ranks, folds) / np.maximum(counts, 1), 0.5)
    left = np.where(known, (ranks - told) ** 2, 0)
    there = np.where(known, (ranks - 0.5) ** 2, 0)
    enough = (known.sum(0) >= FEWEST) & (np.nanmax(np.where(known, numbers, -np.inf), 0) >
                                         np.nanmin(np.where(known, numbers, np.inf), 0))  # fmt: skip
    gains = np.where(enough, 1 - left.sum(0) / np.maximum(there.sum(0), 1e-12), -1.0)
    best = int(gains.argmax())
    order = np.argsort(left[:, best], kind="stable")
    return float(gains[best]), best, order[known[order, best]]


_GAINS: Mapping[type[Any], Callable[[Rows, Floats, Rows], Gains]] = {
    ClassTable: _of_classes,
    LabelSetTable: _of_sets,
    ValueTable: _of_values,
}


def _others(kinds: Rows, values: Floats, folds: Rows) -> Floats:
    """Return for each image the sums of values over its bin in the other folds, ``[n, columns]``."""
    bins, parts = int(kinds.max()) + 1, int(folds.max()) + 1
    cells = folds * bins + kinds
    sums = np.stack([np.bincount(cells, column, minlength=parts * bins) for column in values.T])
    whole = sums.reshape(-1, parts, bins)
    return np.asarray((whole.sum(1, keepdims=True) - whole).reshape(len(sums), -1)[:, cells].T)
