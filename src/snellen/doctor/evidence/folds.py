"""Out-of-fold answers: what models that have not seen a row say of its label."""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from numpy.typing import NDArray

__all__ = ["best_strength", "classifier", "fitted_probs", "grouped_folds", "nearest", "out_of_fold_probs"]

STRENGTHS = (3e-4, 3e-3, 3e-2)  # inverse regularisation per 3000 rows of variance 1; the best is chosen by its log loss
STRENGTH_ROWS = 3000
TRIAL_ROWS = 4000  # that the strength is chosen on
BLOCK_NUMBERS = 20_000_000  # similarities held at one time
ITERATIONS = 150
PROB_FLOOR = 1e-6

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


def grouped_folds(labels: Rows, groups: Rows, folds: int, seed: int = 0) -> Rows:
    """Return the fold of each row: classes spread alike, groups never torn apart.

    Args:
        labels: Class of each row.
        groups: Rows with equal numbers stay together.
        folds: How many.
        seed: Decides ties.
    """
    names, first, members = np.unique(groups, return_index=True, return_inverse=True)
    chance = np.random.default_rng(seed)
    order = np.lexsort((chance.permutation(len(names)), labels[first]))
    fold_of = np.empty(len(names), np.int64)
    fold_of[order] = np.arange(len(names)) % folds
    return fold_of[members]


def nearest(
    vectors: Float[np.ndarray, "n d"], groups: Int64[np.ndarray, " n"], count: int
) -> tuple[Int64[np.ndarray, "n count"], Float[np.ndarray, "n count"]]:
    """Return the rows most alike by cosine, none of the same group, and how alike; the most alike first."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    number = len(unit)
    found = np.empty((number, count), np.int64)
    alike = np.empty((number, count), np.float32)
    step = max(1, BLOCK_NUMBERS // max(number, 1))
    for start in range(0, number, step):
        block = unit[start : start + step] @ unit.T
        block[groups[start : start + step, None] == groups] = -2
        near = np.argpartition(-block, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(near, np.argsort(-np.take_along_axis(block, near, 1), axis=1, kind="stable"), 1)
        found[start : start + step] = near
        alike[start : start + step] = np.take_along_axis(block, near, 1)
    return found, alike


def out_of_fold_probs(vectors: Floats, labels: Rows, folds: Rows, num_classes: int) -> NDArray[np.float32]:
    """Return for each row the probability of each class by a regularised logistic regression on the other folds.

    Args:
        vectors: Of variance about 1; ``[n, d]``.
        labels: 0..K-1; ``[n]``.
        folds: Number of the fold of each row; rows with -1 are learned from by all and predicted by none.
        num_classes: K.
    """
    strength = best_strength(vectors, labels, folds, num_classes)
    probs = np.zeros((len(labels), num_classes), np.float32)
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        probs[held] = fitted_probs(vectors[~held], labels[~held], vectors[held], num_classes, strength)
    return probs


def fitted_probs(vectors: Floats, labels: Rows, held: Floats, num_classes: int, strength: float) -> NDArray[np.float32]:
    """Return what a logistic regression on the first says of the second; classes it never saw get 0."""
    present = np.unique(labels)
    probs = np.zeros((len(held), num_classes), np.float32)
    if len(present) == 1:
        probs[:, present[0]] = 1.0
    elif len(held):
        probs[:, present] = classifier(vectors, labels, strength).predict_proba(held)
    return probs


def classifier(vectors: Floats, labels: Rows, strength: float) -> Any:
    """Return a logistic regression of scikit-learn.

    Args:
        vectors: Of variance about 1.
        labels: Two classes at least.
        strength: Inverse regularisation per 3000 rows.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - takes a second to import

    model = LogisticRegression(C=strength * STRENGTH_ROWS / len(labels), max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged: regularised this strongly, it is near enough
        return model.fit(vectors, labels)


def best_strength(vectors: Floats, labels: Rows, folds: Rows, num_classes: int) -> float:
    """Return the strength of regularisation with the least loss on the first fold, learned on some of the others."""
    chance = np.random.default_rng(0)
    rows = chance.permutation(len(labels))[:TRIAL_ROWS]
    train, held = rows[folds[rows] != 0], rows[folds[rows] == 0]
    if not len(held) or len(np.unique(labels[train])) < 2:
        return STRENGTHS[1]
    losses = []
    for strength in STRENGTHS:
        probs = fitted_probs(vectors[train], labels[train], vectors[held], num_classes, strength)
        losses.append(-np.log(np.maximum(probs[np.arange(len(held)), labels[held]], PROB_FLOOR)).mean())
    return STRENGTHS[int(np.argmin(losses))]
