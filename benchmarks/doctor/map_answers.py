"""Faults of maps."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from class_answers import deranged
from result_bases import Answered
from simulated import Chance

from snellen.structures import IGNORE_LABEL, SegmentationMap


def by_map(run: Answered, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Answered:
    """Return a run whose maps are changed, each beside its truth."""
    pairs = []
    for found, truth in run.pairs:
        named = change(found.labels.numpy(), truth.labels.numpy()).astype(np.uint8)  # type: ignore[union-attr]
        pairs.append((SegmentationMap(labels=torch.from_numpy(np.ascontiguousarray(named)),
                                      confidence=torch.full(named.shape, 0.9)), truth))  # fmt: skip
    return run.answered(pairs)


def other_order(run: Answered, severity: int, chance: Chance) -> Answered:
    """Name classes in the order of another list: two, half or all of them."""
    order = deranged(len(run.index.classes), (0.2, 0.5, 1.0)[severity], chance)
    return by_map(run, lambda named, _: order[named])


def moved(run: Answered, severity: int, chance: Chance) -> Answered:
    """Move maps by 2, 4 or 8 pixels to the right and down."""
    del chance
    step = (2, 4, 8)[severity]
    return by_map(run, lambda named, _: np.pad(named, ((step, 0), (step, 0)), mode="edge")[:-step, :-step])


def turned(run: Answered, severity: int, chance: Chance) -> Answered:
    """Mirror maps, turn them by half, or upside down."""
    del chance
    return by_map(run, lambda named, _: (named[:, ::-1], named[::-1, ::-1], named[::-1])[severity])


def blunt(run: Answered, severity: int, chance: Chance) -> Answered:
    """Answer for cells of 8, 12 or 20 pixels, as if from a coarse map."""
    del chance
    step = (8, 12, 20)[severity]

    def change(named: np.ndarray, _truth: np.ndarray) -> np.ndarray:
        rows, columns = (np.minimum(np.arange(side) // step * step + step // 2, side - 1) for side in named.shape)
        return named[np.ix_(rows, columns)]

    return by_map(run, change)


def background_of(run: Answered) -> int:
    names = [name.casefold() for name in run.index.classes]
    return names.index("background") if "background" in names else 0


def missed(run: Answered, severity: int, chance: Chance) -> Answered:
    """Paint parts of things as background."""
    share, ground = (0.15, 0.3, 0.5)[severity], background_of(run)

    def change(named: np.ndarray, truth: np.ndarray) -> np.ndarray:
        lost = patches(named.shape, share, chance)
        return np.where(lost & (truth != ground) & (truth != IGNORE_LABEL), ground, named)

    return by_map(run, change)


def invented(run: Answered, severity: int, chance: Chance) -> Answered:
    """Paint parts of the background as things."""
    share, ground = (0.1, 0.2, 0.4)[severity], background_of(run)
    number = len(run.index.classes)

    def change(named: np.ndarray, truth: np.ndarray) -> np.ndarray:
        more = patches(named.shape, share, chance)
        other = (ground + int(chance.integers(1, number))) % number
        return np.where(more & (truth == ground), other, named)

    return by_map(run, change)


def patches(size: tuple[int, ...], share: float, chance: Chance) -> np.ndarray:
    """Return a mask of cells of an eighth of the image, a share of them set."""
    coarse = chance.random((8, 8)) < share
    rows, columns = (np.arange(side) * 8 // side for side in size)
    return np.asarray(coarse[np.ix_(rows, columns)])


def class_lost(run: Answered, severity: int, chance: Chance) -> Answered:
    """Never paint one class, two or four; the others take its place."""
    lost = chance.permutation(len(run.index.classes))[: (1, 2, 4)[severity]]
    rest = np.setdiff1d(np.arange(len(run.index.classes)), lost)
    table = np.arange(len(run.index.classes))
    table[lost] = rest[0]
    return by_map(run, lambda named, _: table[named])


def one_class(run: Answered, severity: int, chance: Chance) -> Answered:
    """Paint nearly everything, or everything, in the most frequent class."""
    counts = sum(np.bincount(truth.labels.numpy().ravel(), minlength=256)[:255] for _, truth in run.pairs)  # type: ignore[union-attr]
    most, share = int(np.argmax(counts)), (0.97, 0.99, 1.0)[severity]
    return by_map(run, lambda named, _: np.where(patches(named.shape, share, chance), most, named))


def void_counted(run: Answered, severity: int, chance: Chance) -> Answered:
    """Write down a mean overlap in which void counts as false, as a class of its own, or the share of right pixels."""
    del chance
    number = len(run.index.classes)
    confusion = np.zeros((number + 1, number + 1))
    for found, truth in run.pairs:
        wanted = np.where(truth.labels.numpy() == IGNORE_LABEL, number, truth.labels.numpy())  # type: ignore[union-attr]
        np.add.at(confusion, (wanted.ravel(), found.labels.numpy().ravel()), 1)  # type: ignore[union-attr]
    both = np.diag(confusion)
    with_void = both / np.maximum(confusion.sum(0) + confusion.sum(1) - both, 1)
    accuracy = float(both[:number].sum() / confusion[:number].sum())
    written = (with_void[:number].mean(), with_void.mean(), accuracy)[severity]
    return replace(run, written={run.judged: float(written)})
