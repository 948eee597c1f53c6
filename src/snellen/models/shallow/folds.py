"""Which training images are set aside when settings are compared, and which are enough to compare them on."""

import numpy as np
from jaxtyping import Int64

__all__ = ["fold_of_each", "stratified_rows"]


def fold_of_each(
    labels: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None, *, folds: int, seed: int
) -> Int64[np.ndarray, " n"]:
    """Return the fold of each image: classes spread evenly, groups never torn apart.

    Groups are dealt in an order drawn at random, each to the fold that has the fewest images of its classes so far,
    and of all classes where several have.

    Args:
        labels: Class of each image.
        groups: Images with equal numbers belong together; None for images that stand for themselves.
        folds: Number of them.
        seed: Of the draw.
    """
    _, codes = np.unique(np.arange(len(labels)) if groups is None else groups, return_inverse=True)
    counts = np.zeros((codes.max(initial=-1) + 1, labels.max(initial=-1) + 1), np.int64)  # of group and class
    np.add.at(counts, (codes, labels), 1)
    drawn = np.random.default_rng(seed).permutation(len(counts))
    order = drawn[
        np.argsort(-counts[drawn].max(axis=1, initial=0), kind="stable")
    ]  # large groups first: small ones fill up
    filled = np.zeros((folds, counts.shape[1]), np.int64)
    fold = np.zeros(len(counts), np.int64)
    for group in order:
        weight = filled @ counts[group]
        fold[group] = np.lexsort((filled.sum(axis=1), weight))[0]
        filled[fold[group]] += counts[group]
    return fold[codes]


def stratified_rows(labels: Int64[np.ndarray, " n"], most: int, *, seed: int) -> Int64[np.ndarray, " m"]:
    """Return at most ``most`` rows in rising order, of every class about the same share but at least one.

    There are more if there are more classes than that.
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    drawn = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(labels), np.float64)
    for label in np.unique(labels):
        rows = drawn[labels[drawn] == label]
        rank[rows] = np.arange(len(rows)) / len(rows)  # the first of every class comes before all others
    count = max(most, len(np.unique(labels)))
    return np.sort(np.argsort(rank, kind="stable")[:count])
