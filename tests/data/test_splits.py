"""Divisions: every row once, classes alike, groups whole, the same for the same seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.data import (
    ClassTable,
    DatasetIndex,
    bootstrap,
    ensure_splits,
    k_fold,
    leave_one_out,
    load,
    stratified,
    train_dev_splits,
    with_splits,
)
from snellen.data.sharing import Strings
from snellen.errors import InputError


def index_of(labels, groups=None, splits=None, names=()):
    number = len(labels)
    return DatasetIndex(
        root=Path("data"),
        format="folders",
        classes=tuple("abcdefgh"[: max(labels) + 1]),
        paths=Strings.pack([f"{row}.png" for row in range(number)]),
        annotations=ClassTable(labels=np.array(labels, np.int32)),
        sizes=np.zeros((number, 2), np.int32),
        splits=np.full(number, -1, np.int16) if splits is None else np.array(splits, np.int16),
        split_names=names,
        groups=None if groups is None else np.array(groups, np.int32),
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 5))
def test_every_row_once_and_classes_alike(labels, seed):
    index = index_of(labels)
    parts = stratified(index, {"train": 3, "val": 1}, seed)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(labels)))
    for label in set(labels):
        total = labels.count(label)
        found = sum(labels[row] == label for row in parts["val"])
        assert abs(found - total / 4) < 1.01
    again = stratified(index, {"train": 3, "val": 1}, seed)
    assert all(np.array_equal(parts[name], again[name]) for name in parts)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=4, max_size=60))
def test_groups_stay_whole(rows):
    index = index_of([label for label, _ in rows], [group for _, group in rows])
    parts = stratified(index, {"train": 2, "val": 1}, 0)
    held = {name: {rows[row][1] for row in members} for name, members in parts.items()}
    assert not held["train"] & held["val"]


def test_boxes_are_spread_better_than_by_chance(shared_data):
    index = load(shared_data / "bccd")
    counts = index.annotations.class_counts(3)
    wanted = (counts > 0).sum(0) * 0.2

    def error(rows):
        return np.abs((counts[rows] > 0).sum(0) - wanted).sum()

    parts = stratified(index, {"train": 0.8, "val": 0.2}, 0)
    chance = [error(np.random.default_rng(seed).permutation(len(index))[: len(parts["val"])]) for seed in range(20)]
    assert np.abs((counts[parts["val"]] > 0).sum(0) - wanted).max() <= 3
    assert error(parts["val"]) < np.mean(chance)
    assert abs(len(parts["val"]) - 0.2 * len(index)) <= 2


@pytest.mark.parametrize("shares", [{}, {"a": 0}, {"a": -1, "b": 2}])
def test_impossible_shares(shares):
    with pytest.raises(InputError, match="shares"):
        stratified(index_of([0, 1]), shares, 0)


@pytest.mark.parametrize("groups", [None, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]])
def test_folds(groups):
    """SYS-234."""
    index = index_of([0, 1] * 5, groups)
    held = []
    for train, out in k_fold(index, 5, 0):
        assert not set(train) & set(out)
        assert len(train) + len(out) == 10
        assert sorted(index.annotations.labels[out]) == [0, 1]
        held += out.tolist()
    assert sorted(held) == list(range(10))
    with pytest.raises(InputError, match=r"folds must be within"):
        next(k_fold(index, 11, 0))


def test_leave_one_out():
    """SYS-235."""
    assert [out.tolist() for _, out in leave_one_out(index_of([0, 1, 0]))] == [[0], [1], [2]]
    assert [out.tolist() for _, out in leave_one_out(index_of([0, 1, 0], [5, 9, 5]))] == [[0, 2], [1]]


def test_bootstrap():
    """SYS-236: 1 / e of the rows are not drawn."""
    rounds = list(bootstrap(index_of([0, 1] * 200), 20, 0))
    assert len(rounds) == 20
    for drawn, rest in rounds:
        assert len(drawn) == 400
        assert not set(drawn) & set(rest)
    share = np.mean([len(rest) / 400 for _, rest in rounds])
    assert share == pytest.approx(1 / np.e, abs=0.02)
    again = list(bootstrap(index_of([0, 1] * 200), 20, 0))
    assert all(np.array_equal(one[0], other[0]) for one, other in zip(rounds, again, strict=True))


def test_ensure_makes_what_is_missing():
    made = ensure_splits(index_of([0, 1] * 50), 3)
    assert made.describe().images_per_split == {"train": 70, "val": 15, "test": 15}
    assert [problem.code for problem in made.problems] == ["split-made"]
    assert "seed 3" in made.problems[0].message


def test_ensure_keeps_what_is_there():
    splits = [0] * 80 + [1] * 20
    with_test = index_of([0, 1] * 50, splits=splits, names=("train", "test"))
    made = ensure_splits(with_test, 0)
    assert np.array_equal(made.split_rows("test"), np.arange(80, 100))
    assert len(made.split_rows("val")) == 12
    with_val = replace(with_test, split_names=("train", "val"))
    assert ensure_splits(with_val, 0) is with_val
    only_test = index_of([0, 1], splits=[0, 0], names=("test",))
    with pytest.raises(InputError, match="a split called train"):
        ensure_splits(only_test, 0)


def test_train_dev():
    """SYS-231: a part of the training images is held out, to tell variance from mismatch."""
    made = train_dev_splits(index_of([0, 1] * 50), {"train": 0.8, "val": 0.1, "test": 0.1}, 0, train_dev=0.25)
    assert made.describe().images_per_split == {"train": 60, "val": 10, "test": 10, "train-dev": 20}


def test_rows_in_no_part():
    found = with_splits(index_of([0, 1, 0]), {"a": np.array([1])})
    assert found.splits.tolist() == [-1, 0, -1]
