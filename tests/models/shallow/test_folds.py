"""Images set aside: classes spread evenly, groups whole."""

import numpy as np
import pytest

from snellen.models.shallow.folds import fold_of_each, stratified_rows


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_classes_are_spread_evenly(folds):
    """SYS-234."""
    labels = np.repeat([0, 1, 2], [30, 20, 10])
    fold = fold_of_each(labels, None, folds=folds, seed=0)
    table = np.array([np.bincount(fold[labels == label], minlength=folds) for label in range(3)])
    assert (table.max(axis=1) - table.min(axis=1) <= 1).all()
    assert np.array_equal(fold, fold_of_each(labels, None, folds=folds, seed=0))
    assert not np.array_equal(fold, fold_of_each(labels, None, folds=folds, seed=1))


def test_groups_stay_whole():
    """Twins on both sides would let settings be chosen by how well images are remembered."""
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 25, 200) * 7
    labels = groups % 3
    fold = fold_of_each(labels, groups, folds=3, seed=0)
    assert all(len(set(fold[groups == group])) == 1 for group in set(groups))
    sizes = np.bincount(fold)
    assert sizes.min() > 0.7 * sizes.max()


def test_a_class_with_one_image_and_none_at_all():
    fold = fold_of_each(np.array([0, 0, 0, 1]), None, folds=3, seed=0)
    assert sorted(np.bincount(fold, minlength=3).tolist()) == [1, 1, 2]
    assert fold_of_each(np.zeros(0, int), None, folds=3, seed=0).shape == (0,)


def test_fewer_images_keep_every_class():
    labels = np.repeat([0, 1, 2], [900, 90, 1])
    rows = stratified_rows(labels, 100, seed=0)
    assert len(rows) == len(set(rows.tolist())) == 100
    counts = np.bincount(labels[rows])
    assert counts[2] == 1
    assert counts[1] == pytest.approx(9, abs=2)
    assert np.array_equal(stratified_rows(labels, 5000, seed=0), np.arange(991))
    assert len(stratified_rows(np.arange(40), 10, seed=0)) == 40
