"""Batches are the same bits whatever the number of workers, and wherever one goes on."""

import os
import signal
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.data import ImageDataset, load
from snellen.data.loading import BatchLoader, batches_of
from snellen.data.samplers import (
    RepeatFactorSampler,
    SequentialSampler,
    ShardedSampler,
    ShuffledSampler,
    WeightedSampler,
    class_balanced_weights,
    repeat_factors,
)
from snellen.data.transforms import Compose, Mixing, Mosaic, training_transform
from snellen.errors import DatasetError, InputError
from snellen.structures import BoxTarget, Sample

# torch says so where fewer cores are free than the workers that are tested
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


@dataclass
class MemoryDataset:
    """Images of noise, of different sizes, with as many boxes as the row says; some rows cannot be read."""

    num_rows: int
    broken: frozenset[int] = frozenset()
    drawn: list[int] = field(default_factory=list)

    def __len__(self):
        return self.num_rows

    def draw(self, index, epoch, seed):
        self.drawn.append(index)
        if index in self.broken:
            raise DatasetError("expected an image; got something else; replace it.", file=f"{index}.jpg")
        state = int(np.random.SeedSequence([seed, epoch, index]).generate_state(1)[0])
        generator = torch.Generator().manual_seed(state)
        count = index % 3
        return Sample(
            image=torch.randint(0, 256, (3, 8 + index % 4, 10), generator=generator, dtype=torch.uint8),
            target=BoxTarget(
                boxes=torch.rand((count, 4), generator=generator),
                labels=torch.arange(count),
                valid=torch.ones(count, dtype=torch.bool),
                ignored=torch.zeros(count, dtype=torch.bool),
            ),
            index=index,
            source=f"{index}.jpg",
            original_size=(8, 10),
        )


class ProcessDataset(MemoryDataset):
    """Says in which process, with how many threads and with what answer to Ctrl-C it was read."""

    def draw(self, index, epoch, seed):
        sample = super().draw(index, epoch, seed)
        ignores = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        facts = torch.tensor([[os.getpid() % 10000, torch.get_num_threads(), int(ignores), 0]]).float()
        target = BoxTarget(
            boxes=facts,
            labels=torch.zeros(1, dtype=torch.int64),
            valid=torch.ones(1, dtype=torch.bool),
            ignored=torch.zeros(1, dtype=torch.bool),
        )
        return Sample(image=sample.image, target=target, index=index, source=sample.source, original_size=(8, 10))


def _bits(batches):
    return [
        [t.clone() for t in (b.images.pixels, b.images.sizes, b.targets.boxes, b.targets.valid, b.indices)]
        for b in batches
    ]


def _assert_equal(one, other):
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def _loader(num_rows=23, *, broken=(), **settings_of_loader):
    arguments = {"batch_size": 4, "shuffle": True, "seed": 3} | settings_of_loader
    return BatchLoader(dataset=MemoryDataset(num_rows, frozenset(broken)), **arguments)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers):
    alone, helped = _loader(broken=(5,)), _loader(broken=(5,), workers=workers)
    for epoch in (0, 1, 7):
        _assert_equal(_bits(alone.epoch(epoch)), _bits(helped.epoch(epoch)))
    assert dict(alone.skipped) == dict(helped.skipped)
    # In the middle of an epoch, with workers already reading ahead, another one starts cleanly.
    next(helped.epoch(2))
    _assert_equal(_bits(alone.epoch(3, first_batch=2)), _bits(helped.epoch(3, first_batch=2)))


@pytest.mark.parametrize("first_batch", range(7))
def test_going_on_equals_not_having_stopped_and_reads_nothing_twice(first_batch):
    whole = _bits(_loader().epoch(2))
    again = _loader()
    _assert_equal(whole[first_batch:], _bits(again.epoch(2, first_batch=first_batch)))
    assert len(again.dataset.drawn) == max(23 - 4 * first_batch, 0)


def test_every_row_once_and_another_order_each_epoch():
    """SYS-195."""
    loader = _loader()
    orders = [torch.cat([batch.indices for batch in loader.epoch(epoch)]).tolist() for epoch in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(23))
    assert orders[0] != orders[1]
    assert len(loader) == len(list(loader.epoch(0))) == 6
    plain = _loader(shuffle=False)
    assert torch.cat([batch.indices for batch in plain.epoch(5)]).tolist() == list(range(23))


def test_global_random_stream_is_left_alone():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    list(_loader().epoch(0))
    assert torch.equal(torch.rand(3), expected)


def test_canvas_is_a_multiple_of_the_stride():
    for batch in _loader(stride=16).epoch(0):
        assert tuple(batch.images.pixels.shape[-2:]) == (16, 16)


def test_broken_images_are_dropped_and_named():
    loader = _loader(broken=(0, 9))
    rows = torch.cat([batch.indices for batch in loader.epoch(0)]).tolist()
    assert sorted(rows) == [row for row in range(23) if row not in (0, 9)]
    assert dict(loader.skipped) == {
        f"{row}.jpg": f"{row}.jpg: expected an image; got something else; replace it." for row in (0, 9)
    }


def test_batch_without_readable_image_is_left_out_and_going_on_counts_it():
    loader = _loader(12, broken=(4, 5, 6, 7), shuffle=False)
    seen = [(batch.indices.tolist(), loader.next_batch) for batch in loader.epoch(0)]
    assert seen == [([0, 1, 2, 3], 1), ([8, 9, 10, 11], 3)]
    rest = [batch.indices.tolist() for batch in loader.epoch(0, first_batch=3)]
    assert rest == []


def test_a_data_set_that_mostly_fails_is_given_up():
    with pytest.raises(DatasetError, match=r"32 of the 32 read(.|\n)*0\.jpg: expected an image"):
        list(_loader(100, broken=range(100), shuffle=False).epoch(0))
    with pytest.raises(DatasetError, match="2 of the 3 read"):
        list(_loader(3, broken=(0, 1)).epoch(0))
    few = _loader(100, broken=range(0, 100, 3))
    assert sum(len(batch) for batch in few.epoch(0)) == 66
    # Going on at a last batch that happens to be broken is no reason to give up.
    assert list(_loader(9, broken=(8,), shuffle=False).epoch(0, first_batch=2)) == []


def test_workers_ignore_ctrl_c_and_use_one_thread():
    loader = BatchLoader(dataset=ProcessDataset(8), batch_size=2, workers=2)
    facts = torch.cat([batch.targets.boxes[:, 0] for batch in loader.epoch(0)])
    assert len(set(facts[:, 0].tolist())) == 2
    assert os.getpid() % 10000 not in facts[:, 0].tolist()
    assert facts[:, 1].tolist() == [1.0] * 8
    assert facts[:, 2].tolist() == [1.0] * 8
    again = torch.cat([batch.targets.boxes[:, 0] for batch in loader.epoch(1)])
    assert set(again[:, 0].tolist()) == set(facts[:, 0].tolist()), "workers are started once"


def test_another_epoch_ends_the_one_before():
    loader = _loader()
    first = loader.epoch(0)
    next(first)
    second = _bits(loader.epoch(1))
    assert list(first) == []
    _assert_equal(second, _bits(_loader().epoch(1)))


def test_real_images_augmented_and_mixed_are_the_same_bits_with_workers(shared_data):
    index = load(shared_data / "bccd").select(range(10))
    plain = ImageDataset(index)
    mixing = Mixing(Mosaic(200, probability=0.5), plain.untransformed, len(plain))
    dataset = ImageDataset(index, Compose(mixing, training_transform(BoxTarget, 128, strength=1.0)))

    def batches(workers, first_batch=0):
        loader = BatchLoader(dataset=dataset, batch_size=3, shuffle=True, seed=1, workers=workers, stride=32)
        return _bits(loader.epoch(4, first_batch=first_batch))

    alone = batches(0)
    assert len(alone) == 4
    assert sum(int(batch[3].sum()) for batch in alone) > 20
    _assert_equal(alone, batches(2))
    _assert_equal(alone[2:], batches(1, first_batch=2))


@given(
    ratios=st.lists(st.floats(0.2, 5.0), min_size=1, max_size=40),
    batch_size=st.integers(1, 7),
    seed=st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_grouping_keeps_rows_and_number_of_batches(ratios, batch_size, seed):
    rows = ShuffledSampler(len(ratios)).rows(0, seed)
    batches = batches_of(rows, batch_size, np.array(ratios))
    assert len(batches) == -(-len(ratios) // batch_size)
    assert sorted(np.concatenate(batches)) == list(range(len(ratios)))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    kinds = [{ratios[row] >= 1 for row in batch} for batch in batches]
    assert sum(len(kind) == 2 for kind in kinds) <= 2


def test_drop_last():
    loader = _loader(drop_last=True)
    assert [len(batch) for batch in loader.epoch(0)] == [4] * 5
    assert len(loader) == 5


def test_weighted_rows_come_in_proportion():
    sampler = WeightedSampler(np.array([0.0, 1.0, 3.0]), num_samples=4000)
    counts = np.bincount(sampler.rows(0, 0), minlength=3)
    assert counts[0] == 0
    assert counts[2] / counts[1] == pytest.approx(3, rel=0.15)
    assert (sampler.rows(0, 0) == sampler.rows(0, 0)).all()
    assert (sampler.rows(0, 0) != sampler.rows(1, 0)).any()


def test_balanced_weights_meet_classes_equally():
    labels = [[0]] * 90 + [[1]] * 10
    rows = WeightedSampler(class_balanced_weights(labels), num_samples=4000).rows(0, 0)
    assert (rows >= 90).mean() == pytest.approx(0.5, abs=0.05)


def test_repeat_factors_follow_the_paper():
    labels = [[0]] * 98 + [[0, 1], [1]]
    factors = repeat_factors(labels, threshold=0.08)
    np.testing.assert_allclose(factors, [1.0] * 98 + [2.0, 2.0])
    assert repeat_factors([[], [0]], threshold=0.1).tolist() == [1.0, 1.0]


@given(factors=st.lists(st.floats(1.0, 4.0), min_size=1, max_size=20), epoch=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_repeats_round_up_or_down_and_epochs_are_equally_long(factors, epoch):
    sampler = RepeatFactorSampler(np.array(factors))
    counts = np.bincount(sampler.rows(epoch, 1), minlength=len(factors))
    assert counts.sum() == len(sampler)
    assert (counts >= np.floor(factors)).all()
    assert (counts <= np.ceil(factors) + 1).all()


def test_repeats_reach_their_factor_on_average():
    factors = np.array([1.25, 1.5, 1.75, 1.0, 2.5])
    sampler = RepeatFactorSampler(factors)
    mean = np.mean([np.bincount(sampler.rows(e, 0), minlength=5) for e in range(800)], axis=0)
    np.testing.assert_allclose(mean, factors, atol=0.06)


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_shards_are_the_whole(world):
    shuffled = ShuffledSampler(11)
    exact = [ShardedSampler(shuffled, rank=rank, world=world, pad=False) for rank in range(world)]
    assert sorted(np.concatenate([shard.rows(4, 2) for shard in exact])) == list(range(11))
    assert [len(shard) for shard in exact] == [len(shard.rows(0, 0)) for shard in exact]
    padded = [ShardedSampler(shuffled, rank=rank, world=world) for rank in range(world)]
    assert {len(shard.rows(4, 2)) for shard in padded} == {-(-11 // world)} == {len(padded[0])}
    assert set(np.concatenate([shard.rows(4, 2) for shard in padded])) == set(range(11))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: _loader(batch_size=0), "batch_size must be 1 or more"),
        (lambda: _loader(0), "at least one row"),
        (lambda: _loader(workers=-1), "workers"),
        (lambda: _loader(aspect_ratios=np.ones(3)), "one number per row"),
        (lambda: list(_loader().epoch(0, first_batch=7)), "first_batch must lie in 0..6"),
        (lambda: WeightedSampler(np.zeros(3)), "not all of them 0"),
        (lambda: RepeatFactorSampler(np.array([0.5])), "1 or more"),
        (lambda: ShardedSampler(SequentialSampler(3), rank=2, world=2), "rank"),
    ],
)
def test_bad_settings_are_named(build, message):
    with pytest.raises(InputError, match=message):
        build()
