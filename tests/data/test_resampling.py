"""Over- and undersampling, and balanced parts for models that vote: what is shown, how often, and what never is."""

from pathlib import Path

import numpy as np
import pytest

from snellen.data import (
    ClassTable,
    DatasetIndex,
    LabelSetTable,
    OversamplingSampler,
    UndersamplingSampler,
    WeightedSampler,
    balanced_rows,
    balanced_subsets,
    class_balanced_weights,
    rarest_classes,
    with_splits,
)
from snellen.data.sharing import Strings
from snellen.errors import InputError


def index_of(labels, classes=("common", "rare", "third"), table=None):
    labels = np.array(labels, np.int32)
    count = len(labels)
    return DatasetIndex(
        root=Path("/nowhere"),
        format="folders",
        classes=tuple(classes),
        paths=Strings.pack([f"{row}.png" for row in range(count)]),
        annotations=ClassTable(labels=labels) if table is None else table,
        sizes=np.full((count, 2), 32, np.int32),
        splits=np.full(count, -1, np.int16),
        split_names=(),
    )


UNEVEN = np.repeat([0, 1, 2], [20, 3, 7])


def test_oversampling_fills_every_class_up_evenly():
    """Q-013, SYS-223: nothing is lost, and rows of a class are shown equally often but for one."""
    sampler = OversamplingSampler(UNEVEN)
    rows = sampler.rows(0, 5)
    assert len(sampler) == len(rows) == 60
    assert np.bincount(UNEVEN[rows]).tolist() == [20, 20, 20]
    times = np.bincount(rows, minlength=30)
    assert set(times[:20]) == {1}
    assert set(times[20:23]) == {6, 7}
    assert set(times[23:]) == {2, 3}


def test_undersampling_shows_as_many_of_each_class_and_others_in_each_epoch():
    """Q-013, SYS-224: each row at most once in an epoch, all of them in some epoch."""
    sampler = UndersamplingSampler(UNEVEN)
    seen = [sampler.rows(epoch, 5) for epoch in range(40)]
    assert len(sampler) == 9
    for rows in seen:
        assert np.bincount(UNEVEN[rows]).tolist() == [3, 3, 3]
        assert len(set(rows.tolist())) == 9
    assert set(np.concatenate(seen).tolist()) == set(range(30))
    assert sorted(seen[0]) != sorted(seen[1])


@pytest.mark.parametrize("kind", [OversamplingSampler, UndersamplingSampler])
def test_an_epoch_is_a_function_of_seed_and_number(kind):
    first, second = kind(UNEVEN), kind(UNEVEN)
    first.rows(0, 1)
    assert np.array_equal(first.rows(3, 7), second.rows(3, 7))
    assert not np.array_equal(first.rows(3, 7), first.rows(3, 8))
    with pytest.raises(InputError, match="none of 2 has one"):
        kind(np.array([-1, -1]))


def test_rows_without_a_class_are_shown_too():
    strata = np.array([0, 0, 0, 1, -1, -1])
    assert np.bincount(OversamplingSampler(strata).rows(0, 0)).tolist()[4:] == [1, 1]
    assert len(UndersamplingSampler(strata)) == 3


def test_square_root_weights_are_those_of_the_paper():
    """Kang et al. 2020, eq. 1: the chance of a class is n^q / sum of n^q, alike for all its images."""
    labels = [[0]] * 100 + [[1]] * 4
    shares = WeightedSampler(class_balanced_weights(labels, power=0.5)).shares
    assert shares[:100].sum() == pytest.approx(10 / 12)
    assert shares[100:].sum() == pytest.approx(2 / 12)
    assert np.ptp(WeightedSampler(class_balanced_weights(labels, power=1.0)).shares) == pytest.approx(0)
    assert WeightedSampler(class_balanced_weights(labels)).shares[100:].sum() == pytest.approx(0.5)


def test_an_image_counts_for_its_rarest_class():
    assert rarest_classes([[0], [0, 1], [0], [], [1, 2]]).tolist() == [0, 1, 0, -1, 2]


def test_the_ten_parts_of_the_book():
    """SYS-225, NUM-001: 10,000 against 1,000 are ten parts, each with the same 1,000 and another tenth."""
    index = index_of(np.repeat([0, 1], [10_000, 1_000]), classes=("common", "rare"))
    parts = balanced_rows(index, seed=0)
    assert len(parts) == 10
    rare = set(range(10_000, 11_000))
    common = [set(part.tolist()) - rare for part in parts]
    assert all(rare <= set(part.tolist()) for part in parts)
    assert [len(part) for part in common] == [1_000] * 10
    assert set.union(*common) == set(range(10_000))  # disjoint, for their sizes add up
    assert all(np.array_equal(a, b) for a, b in zip(parts, balanced_rows(index, seed=0), strict=True))
    assert not np.array_equal(parts[0], balanced_rows(index, seed=1)[0])


def test_several_classes_and_uneven_numbers():
    parts = balanced_rows(index_of(UNEVEN), seed=3)
    assert len(parts) == 7  # 20 images in parts of 3
    for part in parts:
        assert np.bincount(UNEVEN[part]).tolist() == [3, 3, 3]
        assert len(set(part.tolist())) == 9
    assert set(np.concatenate(parts).tolist()) == set(range(30))
    assert len(balanced_rows(index_of(UNEVEN), seed=3, number=2)) == 2
    with pytest.raises(InputError, match="number of parts must be 1 or more"):
        balanced_rows(index_of(UNEVEN), seed=3, number=0)
    with pytest.raises(InputError, match="none of 2 has one"):
        balanced_rows(index_of([-1, -1]), seed=0)


def test_other_splits_stay_as_they_are():
    """ERR-182: splits come first; no image of another split is ever trained on."""
    index = with_splits(index_of(UNEVEN), {"train": np.arange(4, 26), "val": np.arange(4), "test": np.arange(26, 30)})
    for subset in balanced_subsets(index, seed=0):
        assert np.array_equal(subset.split_rows("val"), np.arange(4))
        assert np.array_equal(subset.split_rows("test"), np.arange(26, 30))
        train = subset.split_rows("train")
        assert set(train.tolist()) <= set(range(4, 26))
        assert np.bincount(UNEVEN[train]).tolist() == [3, 3, 3]
    whole = balanced_subsets(index_of(UNEVEN), seed=0)[0]
    assert len(whole) == 9


def test_label_sets_count_for_their_rarest_class():
    shown = np.zeros((12, 2), np.bool_)
    shown[:10, 0] = True
    shown[9:11, 1] = True
    table = LabelSetTable(shown=shown, known=np.ones_like(shown))
    parts = balanced_rows(index_of(np.zeros(12), classes=("a", "b"), table=table), seed=0)
    assert len(parts) == 5
    assert all({9, 10} <= set(part.tolist()) for part in parts)
    assert all(11 not in part for part in parts)
