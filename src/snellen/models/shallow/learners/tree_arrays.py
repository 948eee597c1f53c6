"""Many decision trees as arrays, and the walk of many images down all of them at once.

Shapes: n images, d features, T trees, N nodes of all trees together, L leaves, P classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from snellen.models.shallow.examples import Predictor, softmax
from snellen.models.shallow.fitted import Arrays, Schema, Sizes

__all__ = ["BOOSTED", "VOTING", "WEIGHTED_VOTES", "Tree", "boosted_arrays", "leaves", "tree_arrays"]

_AT_ONCE = 1024  # images that walk at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One decision tree; a node without children is a leaf.

    Attributes:
        feature: That is compared, by node; whatever at leaves.
        threshold: Up to which a feature goes left.
        left: Child, by node; -1 at leaves.
        right: Child, by node; -1 at leaves.
        value: What a leaf says, one or several numbers by node.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]


def tree_arrays(trees: Sequence[Tree]) -> dict[str, NDArray[np.generic]]:
    """Return trees as arrays, one tree after the other; only leaves keep a value."""
    sizes = [len(tree.left) for tree in trees]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    is_leaf = np.concatenate([tree.left < 0 for tree in trees])
    shift = np.repeat(starts, sizes)
    left, right = (np.concatenate([getattr(tree, name) for tree in trees]) + shift for name in ("left", "right"))
    value = np.concatenate([tree.value for tree in trees])[is_leaf]
    return {
        "root": starts,
        "feature": np.where(is_leaf, -1, np.concatenate([tree.feature for tree in trees])).astype(np.int32),
        "threshold": np.where(is_leaf, 0, np.concatenate([tree.threshold for tree in trees])),
        "left": np.where(is_leaf, -1, left).astype(np.int32),
        "right": np.where(is_leaf, np.cumsum(is_leaf) - 1, right).astype(np.int32),  # of a leaf, its value's row
        "value": value.astype(np.float64),
    }


def boosted_arrays(
    trees: Sequence[Tree], columns: Sequence[int], base: Float64[np.ndarray, " P"]
) -> dict[str, NDArray[np.generic]]:
    """Return trees whose values add up, each for one class.

    Args:
        trees: With one number at each leaf.
        columns: Class of each tree.
        base: Where the sum of each class begins.
    """
    return {**tree_arrays(trees), "column": np.array(columns, np.int64), "base": base.astype(np.float64)}


def leaves(arrays: Arrays, features: NDArray[np.float32]) -> Int64[np.ndarray, "n T"]:
    """Return the row of the value that each image reaches in each tree."""
    feature, threshold, left, right = (arrays[name] for name in ("feature", "threshold", "left", "right"))
    place = np.broadcast_to(arrays["root"], (len(features), len(arrays["root"]))).copy()
    rows = np.arange(len(features))[:, None]
    while True:
        tested = feature[place]
        is_inner = tested >= 0
        if not is_inner.any():
            break
        goes_left = features[rows, np.maximum(tested, 0)] <= threshold[place]
        place = np.where(is_inner, np.where(goes_left, left[place], right[place]), place)
    return np.asarray(right[place], np.int64)


def _mean_of_leaves(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    parts = [np.zeros((0, arrays["value"].shape[1]))]
    for start in range(0, len(features), _AT_ONCE):
        reached = leaves(arrays, features[start : start + _AT_ONCE])
        total = np.zeros((len(reached), arrays["value"].shape[1]))
        for column in reached.T:  # one tree after the other: all at once would hold images × trees × classes
            total += arrays["value"][column]
        parts.append(total / reached.shape[1])
    return np.concatenate(parts)


def _sums(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float64]:
    parts = [np.zeros((0, len(arrays["base"])))]
    is_of_class = np.eye(len(arrays["base"]))[arrays["column"]]  # [T, P]
    for start in range(0, len(features), _AT_ONCE):
        reached = leaves(arrays, features[start : start + _AT_ONCE])
        parts.append(arrays["base"] + arrays["value"][:, 0][reached] @ is_of_class)
    return np.concatenate(parts)


def _as_they_are(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return shares


def _faults(arrays: Arrays, sizes: Sizes) -> str:
    feature, left, right, root = (arrays[name].astype(np.int64) for name in ("feature", "left", "right", "root"))
    node, is_inner = np.arange(len(feature)), feature >= 0
    if not len(root) or root.min() < 0 or root.max() >= len(feature):
        return f"root must be nodes, 0 to {len(feature) - 1}."
    if (feature >= sizes["d"]).any():
        return f"feature must be below {sizes['d']}."
    children = np.stack([left, right])[:, is_inner]
    # Children come after their parents, so that every walk ends.
    if (children <= node[is_inner]).any() or (children >= len(feature)).any():
        return "children of a node must come after it."
    values = right[~is_inner]
    if (values < 0).any() or (values >= sizes["L"]).any():
        return f"leaves must have values, 0 to {sizes['L'] - 1}."
    return ""


def _boosted_faults(arrays: Arrays, sizes: Sizes) -> str:
    column = arrays["column"]
    if (column < 0).any() or (column >= sizes["P"]).any():
        return f"column must be classes, 0 to {sizes['P'] - 1}."
    return _faults(arrays, sizes)


_NODES: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "root": ("i", ("T",)),
    "feature": ("i", ("N",)),
    "threshold": ("f", ("N",)),
    "left": ("i", ("N",)),
    "right": ("i", ("N",)),
}
_VOTES = Schema(arrays={**_NODES, "value": ("f", ("L", "P"))}, faults=_faults)
VOTING = Predictor(schema=_VOTES, margins=_mean_of_leaves, probs=_as_they_are)
WEIGHTED_VOTES = Predictor(schema=_VOTES, margins=_mean_of_leaves, probs=softmax)
BOOSTED = Predictor(
    schema=Schema(
        arrays={**_NODES, "value": ("f", ("L", 1)), "column": ("i", ("T",)), "base": ("f", ("P",))},
        faults=_boosted_faults,
    ),
    margins=_sums,
    probs=softmax,
)
