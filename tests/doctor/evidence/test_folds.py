"""Out-of-fold answers, against scikit-learn's neighbours and on labels without information."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from snellen.doctor.evidence.agreement import class_shares, macro_recall, permuted_recalls
from snellen.doctor.evidence.folds import grouped_folds, nearest, out_of_fold_probs

CHANCE = np.random.default_rng(0)


def clouds(count: int = 120, distance: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count) % 3
    centers = distance * np.eye(3, 8)[labels]
    return (centers + np.random.default_rng(1).normal(0, 0.7, (count, 8))).astype(np.float32), labels


def test_nearest_are_those_of_scikit_learn() -> None:
    vectors, _ = clouds()
    ours, alike = nearest(vectors, np.arange(len(vectors)), 5)
    theirs = NearestNeighbors(n_neighbors=6, metric="cosine").fit(vectors).kneighbors(vectors)
    np.testing.assert_array_equal(ours, theirs[1][:, 1:])
    np.testing.assert_allclose(1 - alike, theirs[0][:, 1:], atol=1e-5)


def test_no_neighbour_is_of_the_same_group() -> None:
    vectors, _ = clouds()
    groups = np.arange(len(vectors)) // 4
    near = nearest(vectors, groups, 5)[0]
    assert (groups[near] != groups[:, None]).all()


def test_groups_stay_in_one_fold_and_classes_are_spread() -> None:
    labels, groups = np.repeat([0, 1], [80, 40]), np.arange(120) // 2
    folds = grouped_folds(labels, groups, 5)
    assert all(len(np.unique(folds[groups == group])) == 1 for group in np.unique(groups))
    for label, count in ((0, 16), (1, 8)):
        assert np.bincount(folds[labels == label], minlength=5).tolist() == [count] * 5


def test_labels_with_information_are_named_out_of_fold() -> None:
    vectors, labels = clouds()
    probs = out_of_fold_probs(vectors, labels, grouped_folds(labels, np.arange(len(labels)), 5), 3)
    np.testing.assert_allclose(probs.sum(1), 1, rtol=1e-5)
    assert macro_recall(probs.argmax(1), labels) > 0.8


def test_an_image_never_votes_for_itself() -> None:
    """Labels without information are named by chance alone, however well a model knows them by heart."""
    vectors = CHANCE.normal(size=(150, 200)).astype(np.float32)  # more numbers than images
    labels = np.arange(150) % 3
    probs = out_of_fold_probs(vectors, labels, grouped_folds(labels, np.arange(150), 5), 3)
    assert macro_recall(probs.argmax(1), labels) == pytest.approx(1 / 3, abs=0.12)


def test_permuted_labels_are_named_by_chance() -> None:
    vectors, labels = clouds()
    near = nearest(vectors, np.arange(len(labels)), 10)[0]
    permuted = permuted_recalls(near, labels, 3)
    assert permuted.mean() == pytest.approx(1 / 3, abs=0.05)
    assert macro_recall(class_shares(near, labels, 3).argmax(1), labels) > permuted.max()
