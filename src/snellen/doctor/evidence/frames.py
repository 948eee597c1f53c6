"""Images that are neighbouring frames of a video, by their names and by how alike they are."""

import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.evidence.images import ImageFacts

__all__ = ["FrameNeighbours", "neighbours_of_frames"]

LEAST_FRAMES = 20  # of one stem, before their likeness is compared
REACH_STEPS = 2.0  # usual distances of numbers that neighbours may be apart
ALIKE = 0.75  # correlation of the thumbnails of neighbours
ALIKE_MORE = 0.2  # by which the median of neighbours exceeds that of any two images of the stem
_NUMBER = re.compile(r"(\d+)(?!.*\d)")  # the last number of a name


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameNeighbours:
    """Pairs of neighbouring frames.

    Attributes:
        pairs: Rows of the images, by rising number; ``[num_pairs, 2]``.
        similarity: Correlation of their thumbnails; ``[num_pairs]``.
    """

    pairs: NDArray[np.int64]
    similarity: NDArray[np.float32]


def neighbours_of_frames(index: DatasetIndex, facts: ImageFacts) -> FrameNeighbours:
    """Find runs of names with rising numbers whose neighbours are far more alike than any two of them.

    Numbers alone mean nothing: most collections are numbered.
    """
    found = [_neighbours(rows, numbers, facts) for rows, numbers in _runs(index, facts)]
    return FrameNeighbours(
        pairs=np.concatenate([pairs for pairs, _ in found]) if found else np.zeros((0, 2), np.int64),
        similarity=np.concatenate([alike for _, alike in found]) if found else np.zeros(0, np.float32),
    )


def _runs(index: DatasetIndex, facts: ImageFacts) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return rows and numbers of the images of each stem, by rising number."""
    stems: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in np.flatnonzero(facts.is_readable).tolist():
        name = index.paths[row].rsplit("/", 1)[-1].rsplit(".", 1)[0]
        if (number := _NUMBER.search(name)) and len(number[1]) < 18:
            stems[f"{name[: number.start()]}#{name[number.end() :]}"].append((int(number[1]), row))
    runs = []
    for members in stems.values():
        if len(members) >= LEAST_FRAMES:
            numbers, rows = np.array(sorted(members)).T
            runs.append((rows, numbers))
    return runs


def _neighbours(
    rows: NDArray[np.int64], numbers: NDArray[np.int64], facts: ImageFacts
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    steps = np.diff(numbers)
    near = (steps > 0) & (steps <= REACH_STEPS * max(1.0, float(np.median(steps))))
    pairs = np.stack([rows[:-1], rows[1:]], axis=1)[near]
    alike = _alike(facts.thumbnail, pairs)
    half = len(rows) // 2
    any_two = _alike(facts.thumbnail, np.stack([rows[:half], rows[half : 2 * half]], axis=1))
    if not len(pairs) or np.median(alike) < max(ALIKE, float(np.median(any_two)) + ALIKE_MORE):
        return pairs[:0], alike[:0]
    return pairs[alike >= ALIKE], alike[alike >= ALIKE]


def _alike(thumbnails: NDArray[np.uint8], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    ours, theirs = (thumbnails[pairs[:, side]].reshape(len(pairs), -1).astype(np.float32) for side in (0, 1))
    ours, theirs = (part - part.mean(1, keepdims=True) for part in (ours, theirs))
    scale = np.sqrt((ours**2).sum(1) * (theirs**2).sum(1))
    return np.asarray((ours * theirs).sum(1) / np.maximum(scale, 1e-3))
