"""Decision trees, and many of them: forests and boosting, through scikit-learn.

Shapes: n images, d features, P classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.models.field_checks import AT_LEAST_ONE, POSITIVE, check_fields
from snellen.models.shallow.examples import Examples, sample_weights
from snellen.models.shallow.fitted import Arrays
from snellen.models.shallow.learners.tree_arrays import Tree, boosted_arrays, tree_arrays

__all__ = [
    "AdaBoostSettings",
    "BoostingSettings",
    "ForestSettings",
    "TreeSettings",
    "affordable_trees",
    "fit_adaboost",
    "fit_boosting",
    "fit_forest",
    "fit_tree",
]

MOST_VALUE_BYTES = 256 * 2**20  # of a forest's leaves; with many classes it gets fewer trees
MOST_CLASS_TREES = 3000  # of boosting, which grows one tree for each class and round
LEAST_TREES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSettings:
    """Of one decision tree.

    Attributes:
        depth: At most; None to choose it.
        leaf_images: That every leaf holds at least.
    """

    depth: int | None = None
    leaf_images: int = 1

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, depth=AT_LEAST_ONE, leaf_images=AT_LEAST_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestSettings:
    """Of a random forest.

    Attributes:
        trees: Number of them; fewer where many classes would make them too large.
        depth: At most; None for as deep as it goes.
        leaf_images: That every leaf holds at least.
    """

    trees: int = 200
    depth: int | None = None
    leaf_images: int = 1

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, trees=AT_LEAST_ONE, depth=AT_LEAST_ONE, leaf_images=AT_LEAST_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaBoostSettings:
    """Of AdaBoost.

    Attributes:
        rounds: Trees, one after the other.
        depth: Of each tree; None to choose it.
    """

    rounds: int = 100
    depth: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, rounds=AT_LEAST_ONE, depth=AT_LEAST_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostingSettings:
    """Of gradient boosting.

    Attributes:
        rounds: In each of which every class gets a tree; fewer where there are many classes.
        rate: Of learning, the factor on every tree.
        leaves: Of each tree at most.
    """

    rounds: int = 100
    rate: float = 0.1
    leaves: int = 31

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_fields(self, rounds=AT_LEAST_ONE, rate=POSITIVE, leaves=AT_LEAST_ONE)


def fit_tree(examples: Examples, settings: TreeSettings) -> Arrays:
    """Return a decision tree whose splits lower the Gini impurity most.

    Source:
        Breiman, Friedman, Olshen and Stone 1984 (CART), through scikit-learn.
    """
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415 - takes a second to import

    solver = DecisionTreeClassifier(
        max_depth=settings.depth, min_samples_leaf=settings.leaf_images, random_state=examples.seed
    )
    solver.fit(examples.features, examples.labels, sample_weights(examples))
    return tree_arrays([_shares(solver)])


def fit_forest(examples: Examples, settings: ForestSettings) -> Arrays:
    """Return trees on bootstrap samples, with the root of the number of features to choose from at every node.

    Source:
        Breiman 2001, https://doi.org/10.1023/A:1010933404324, through scikit-learn, which takes the mean of the leaves'
        shares where the paper takes votes.
    """
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - the same

    solver = RandomForestClassifier(
        affordable_trees(settings.trees, len(examples), examples.num_classes),
        max_depth=settings.depth,
        min_samples_leaf=settings.leaf_images,
        random_state=examples.seed,
        n_jobs=-1,
    )
    solver.fit(examples.features, examples.labels, sample_weights(examples))
    return tree_arrays([_shares(tree) for tree in solver.estimators_])


def affordable_trees(wanted: int, num_images: int, num_classes: int) -> int:
    """Return how many trees may be grown until the shares in their leaves fill the memory that they may take."""
    of_one = max(1, num_images) * num_classes * np.dtype(np.float64).itemsize  # at most a leaf for each image
    return max(min(LEAST_TREES, wanted), min(wanted, MOST_VALUE_BYTES // of_one))


def fit_adaboost(examples: Examples, settings: AdaBoostSettings) -> Arrays:
    """Return trees that vote by weight, each grown on what those before it got wrong.

    Source:
        Freund and Schapire 1997; for several classes SAMME, Zhu et al. 2009, algorithm 2,
        https://doi.org/10.4310/SII.2009.v2.n3.a8; through scikit-learn.
    """
    from sklearn.ensemble import AdaBoostClassifier  # noqa: PLC0415 - the same
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415 - the same

    solver = AdaBoostClassifier(
        DecisionTreeClassifier(max_depth=settings.depth or 1), n_estimators=settings.rounds, random_state=examples.seed
    )
    try:
        solver.fit(examples.features, examples.labels, sample_weights(examples))
    except ValueError as error:
        if "worse than random" not in str(error):
            raise
        return fit_tree(examples, TreeSettings(depth=settings.depth or 1))  # nothing to boost: one tree, as good
    weights = solver.estimator_weights_ / solver.estimator_weights_.sum()
    others = examples.num_classes - 1
    number = len(solver.estimators_)
    trees = []
    for tree, weight in zip(solver.estimators_, weights, strict=False):
        grown = _shares(tree)
        vote = np.full(grown.value.shape, -1.0 / others)
        vote[np.arange(len(vote)), grown.value.argmax(axis=1)] = 1.0
        # The mean over the trees is their sum over all weights; eq. 4 and 15 of the paper divide by K − 1.
        trees.append(_with_value(grown, vote * weight * number / others))
    return tree_arrays(trees)


def fit_boosting(examples: Examples, settings: BoostingSettings) -> Arrays:
    """Return trees that add up to log-odds, each fitted to what those before it leave.

    Source:
        Friedman 2001, https://doi.org/10.1214/aos/1013203451, on binned features as in LightGBM (Ke et al. 2017),
        through scikit-learn's histogram gradient boosting.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - the same

    columns = 1 if examples.num_classes == 2 else examples.num_classes
    solver = HistGradientBoostingClassifier(
        max_iter=max(LEAST_TREES, min(settings.rounds, MOST_CLASS_TREES // columns)),
        learning_rate=settings.rate,
        max_leaf_nodes=max(2, settings.leaves),
        early_stopping=False,
        random_state=examples.seed,
    )
    solver.fit(examples.features, examples.labels, sample_weights(examples))
    grown = solver._predictors  # noqa: SLF001 - there is no public way to the trees; predictions are compared in tests
    first = examples.num_classes - columns  # with two classes the trees are for the second
    trees = [_of_nodes(tree.nodes) for round_ in grown for tree in round_]
    owners = [first + column for round_ in grown for column in range(len(round_))]
    base = np.zeros(examples.num_classes)
    base[first:] = np.ravel(solver._baseline_prediction)  # noqa: SLF001 - the same
    return boosted_arrays(trees, owners, base)


def _shares(solver: Any) -> Tree:
    """Return a tree of scikit-learn with the share of each class at every node."""
    grown = solver.tree_
    value = grown.value[:, 0, :]
    shares = value / value.sum(axis=1, keepdims=True)
    full = np.zeros((len(shares), solver.n_classes_))
    full[:, np.asarray(solver.classes_, np.int64) if solver.n_classes_ == shares.shape[1] else slice(None)] = shares
    return Tree(
        feature=grown.feature.astype(np.int64),
        threshold=grown.threshold.astype(np.float64),
        left=grown.children_left.astype(np.int64),
        right=grown.children_right.astype(np.int64),
        value=full,
    )


def _with_value(tree: Tree, value: NDArray[np.float64]) -> Tree:
    return Tree(feature=tree.feature, threshold=tree.threshold, left=tree.left, right=tree.right, value=value)


def _of_nodes(nodes: NDArray[Any]) -> Tree:
    """Return a tree of scikit-learn's histogram gradient boosting."""
    is_leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        value=nodes["value"].astype(np.float64)[:, None],
    )
