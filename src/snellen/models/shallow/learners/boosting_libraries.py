"""Gradient boosting through XGBoost and LightGBM, whose trees become arrays like all others.

Neither package is needed to use what was fitted.
"""

import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.errors import MissingExtraError
from snellen.models.shallow.examples import Examples, sample_weights
from snellen.models.shallow.fitted import Arrays
from snellen.models.shallow.learners.tree_arrays import BOOSTED, Tree, boosted_arrays
from snellen.models.shallow.learners.trees import LEAST_TREES, MOST_CLASS_TREES, BoostingSettings

__all__ = ["fit_lightgbm", "fit_xgboost"]

EXTRA = "boosting"  # of snellen, that brings both


def fit_xgboost(examples: Examples, settings: BoostingSettings) -> Arrays:
    """Return trees of XGBoost, grown leaf by leaf on binned features.

    Raises:
        MissingExtraError: If XGBoost is not installed.

    Source:
        Chen and Guestrin 2016, https://doi.org/10.1145/2939672.2939785.
    """
    xgboost = _imported("xgboost")
    several = examples.num_classes > 2
    data = xgboost.DMatrix(examples.features, label=examples.labels, weight=sample_weights(examples))
    booster = xgboost.train(
        {
            "objective": "multi:softprob" if several else "binary:logistic",
            **({"num_class": examples.num_classes} if several else {}),
            "eta": settings.rate,
            "max_leaves": settings.leaves,
            "max_depth": 0,
            "grow_policy": "lossguide",
            "tree_method": "hist",
            "seed": examples.seed,
            "verbosity": 0,
        },
        data,
        num_boost_round=_rounds(settings, examples.num_classes),
    )
    model = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]
    trees = [_of_xgboost(tree) for tree in model["trees"]]
    margins = booster.predict(xgboost.DMatrix(examples.features[:1]), output_margin=True)
    return _boosted(trees, [int(column) for column in model["tree_info"]], examples, margins)


def fit_lightgbm(examples: Examples, settings: BoostingSettings) -> Arrays:
    """Return trees of LightGBM.

    Raises:
        MissingExtraError: If LightGBM is not installed.

    Source:
        Ke et al. 2017, LightGBM: a highly efficient gradient boosting decision tree, NeurIPS.
    """
    lightgbm = _imported("lightgbm")
    several = examples.num_classes > 2
    features = examples.features.astype(np.float64)
    data = lightgbm.Dataset(features, label=examples.labels, weight=sample_weights(examples))
    booster = lightgbm.train(
        {
            "objective": "multiclass" if several else "binary",
            **({"num_class": examples.num_classes} if several else {}),
            "learning_rate": settings.rate,
            "num_leaves": max(2, settings.leaves),
            "seed": examples.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        },
        data,
        num_boost_round=_rounds(settings, examples.num_classes),
    )
    columns = examples.num_classes if several else 1
    grown = booster.dump_model()["tree_info"]
    trees = [_of_lightgbm(tree["tree_structure"]) for tree in grown]
    margins = booster.predict(features[:1], raw_score=True)
    return _boosted(trees, [number % columns for number in range(len(trees))], examples, margins)


def _rounds(settings: BoostingSettings, num_classes: int) -> int:
    columns = 1 if num_classes == 2 else num_classes
    return max(LEAST_TREES, min(settings.rounds, MOST_CLASS_TREES // columns))


def _imported(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingExtraError(package, extra=EXTRA, purpose=f"the learner {package}") from error


def _boosted(trees: Sequence[Tree], columns: Sequence[int], examples: Examples, margins: NDArray[Any]) -> Arrays:
    """Return the arrays; where the sums begin is what the first image's margins have beyond its leaves."""
    if examples.num_classes == 2:
        columns = [1] * len(trees)
    arrays = boosted_arrays(trees, columns, np.zeros(examples.num_classes))
    known = BOOSTED.margins(arrays, examples.features[:1])[0]
    wanted = np.zeros(examples.num_classes)
    wanted[-np.size(margins) :] = np.ravel(margins)
    return {**arrays, "base": wanted - known}


def _of_xgboost(tree: dict[str, Any]) -> Tree:
    """Return a tree of XGBoost, which goes left below a threshold, not up to it, in single precision."""
    left = np.array(tree["left_children"], np.int64)
    condition = np.array(tree["split_conditions"], np.float32)
    below = np.nextafter(condition, np.float32(-np.inf))
    return Tree(
        feature=np.array(tree["split_indices"], np.int64),
        threshold=below.astype(np.float64),
        left=left,
        right=np.array(tree["right_children"], np.int64),
        value=condition.astype(np.float64)[:, None],  # of a leaf, its weight
    )


def _of_lightgbm(structure: dict[str, Any]) -> Tree:
    nodes = list(_numbered(structure))
    return Tree(
        feature=np.array([node.get("split_feature", -1) for node, _, _ in nodes], np.int64),
        threshold=np.array([node.get("threshold", 0.0) for node, _, _ in nodes], np.float64),
        left=np.array([left for _, left, _ in nodes], np.int64),
        right=np.array([right for _, _, right in nodes], np.int64),
        value=np.array([[node.get("leaf_value", 0.0)] for node, _, _ in nodes], np.float64),
    )


def _numbered(structure: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Yield every node with the numbers of its children, those of the upper levels first."""
    level, following = [structure], 1
    while level:
        below = []
        for node in level:
            if "left_child" not in node:
                yield node, -1, -1
                continue
            yield node, following, following + 1
            following += 2
            below += [node["left_child"], node["right_child"]]
        level = below
