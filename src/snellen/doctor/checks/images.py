"""What the checks of images share: splits, and places among images."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.finding import Place

__all__ = ["MAX_PLACES", "image_places", "medians_of_splits", "pair_places", "split_rows"]

MAX_PLACES = 50  # that a finding lists
LEAST_OF_SPLIT = 10  # images of which a median is told


def split_rows(index: DatasetIndex) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield the name and the rows of each split that has images; those in none have an empty name."""
    for place, name in ((-1, ""), *enumerate(index.split_names)):
        rows = np.flatnonzero(index.splits == place)
        if len(rows):
            yield name, rows


def image_places(
    index: DatasetIndex,
    rows: Sequence[int] | NDArray[np.int64],
    scores: Sequence[float] | NDArray[np.floating] | None = None,
    note: Callable[[int], str] | None = None,
) -> tuple[Place, ...]:
    """Return images as places, the worst first, no more than can be looked at.

    Args:
        index: They belong to.
        rows: Of the images.
        scores: How bad each is; in the order given without.
        note: What is wrong with the image in a row.
    """
    listed = np.asarray(rows, np.int64)
    values = np.zeros(len(listed)) if scores is None else np.asarray(scores, np.float64)
    chosen = np.argsort(-values, kind="stable")[:MAX_PLACES]
    return tuple(
        Place(kind="image", name=index.paths[row], note="" if note is None else note(row), score=score)
        for row, score in zip(listed[chosen].tolist(), values[chosen].tolist(), strict=True)
    )


def pair_places(
    index: DatasetIndex, pairs: NDArray[np.int64], scores: NDArray[np.floating] | None = None
) -> tuple[Place, ...]:
    """Return pairs of images ``[m, 2]`` as places of the first with the second as its twin, the worst first."""
    values = np.ones(len(pairs)) if scores is None else np.asarray(scores, np.float64)
    chosen = np.argsort(-values, kind="stable")[:MAX_PLACES]
    return tuple(
        Place(kind="image", name=index.paths[first], twin=index.paths[second], score=score)
        for (first, second), score in zip(pairs[chosen].tolist(), values[chosen].tolist(), strict=True)
    )


def medians_of_splits(
    index: DatasetIndex, values: NDArray[np.floating]
) -> Iterator[tuple[str, NDArray[np.floating], NDArray[np.floating]]]:
    """Yield the name of each split beside training, its medians and those of training.

    Args:
        index: With splits; nothing is yielded without a training split, or for splits of a few images.
        values: Of each image, NaN where nothing was measured; ``[n]`` or ``[n, k]``.
    """
    medians = {}
    for name, rows in split_rows(index):
        measured = values[rows].reshape(len(rows), -1)
        measured = measured[np.isfinite(measured).all(1)]
        if name and len(measured) >= LEAST_OF_SPLIT:
            medians[name] = np.median(measured, axis=0)
    for name, median in medians.items():
        if name != "train" and "train" in medians:
            yield name, median, medians["train"]
