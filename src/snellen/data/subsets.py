"""Parts of the training images in which all classes are equally large, for models that vote."""

from dataclasses import replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from snellen.data.index import NO_SPLIT, DatasetIndex
from snellen.data.samplers import NO_CLASS, rarest_classes
from snellen.errors import InputError

__all__ = ["balanced_rows", "balanced_subsets"]


def balanced_rows(index: DatasetIndex, seed: int, *, number: int | None = None) -> list[NDArray[np.int64]]:
    """Return the rows of parts in which all classes have as many images as the smallest one.

    The smallest class is in every part. The images of the others are put in a random order and dealt out in turn, so
    that parts differ in as many of them as they can, and all of them are used: of 10,000 images against 1,000, ten
    parts have 1,000 different ones each.

    Args:
        index: The images; one with several classes counts for its rarest, those without any are left out.
        seed: Decides the order.
        number: Of parts; as many as use every image if None.

    Returns:
        Rising rows for each part.

    Raises:
        InputError: If no image has a class, or ``number`` is below 1.

    Source:
        Liu, Wu and Zhou 2009, "Exploratory undersampling for class-imbalance learning", section III.A (EasyEnsemble).
        Differs: parts of the larger classes are disjoint as long as there are images, instead of drawn independently;
        and there may be more than two classes.
    """
    labels = [np.flatnonzero(counts).tolist() for counts in index.annotations.class_counts(len(index.classes))]
    strata = rarest_classes(labels)
    rng = np.random.default_rng(seed)
    members = [rng.permutation(np.flatnonzero(strata == label)) for label in np.unique(strata) if label != NO_CLASS]
    if not members:
        raise InputError(f"balanced parts need images with classes; none of {len(index)} has one.")
    size = min(map(len, members))
    wanted = ceil(max(map(len, members)) / size) if number is None else number
    if wanted < 1:
        raise InputError(f"the number of parts must be 1 or more; got {number}.")
    # Dealt out around the circle: with more parts than a class has images for, its first images come again.
    return [
        np.sort(np.concatenate([rows[np.arange(part * size, (part + 1) * size) % len(rows)] for rows in members]))
        for part in range(wanted)
    ]


def balanced_subsets(index: DatasetIndex, seed: int, *, number: int | None = None) -> list[DatasetIndex]:
    """Return data sets whose training images are the parts of ``balanced_rows``; other splits stay as they are.

    Splits come first, so that no image of the validation or test split is ever trained on.

    Args:
        index: If it has no splits, all its images are for training.
        seed: Decides which images of the larger classes come together.
        number: Of parts; as many as use every training image if None.

    Raises:
        InputError: If no training image has a class, or there is no split ``train`` among others.
    """
    if not index.split_names:
        return [index.select(rows) for rows in balanced_rows(index, seed, number=number)]
    train = index.split_rows("train")
    subsets = []
    for rows in balanced_rows(index.select(train), seed, number=number):
        splits = index.splits.copy()
        splits[np.setdiff1d(train, train[rows])] = NO_SPLIT
        subsets.append(replace(index, splits=splits))
    return subsets
