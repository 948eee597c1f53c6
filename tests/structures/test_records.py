"""Records of tensors: moved, picked, put together on one canvas."""

from dataclasses import FrozenInstanceError

import pytest
import torch

from snellen.structures import IGNORE_LABEL, Batch, BoxTarget, ClassTarget, MaskTarget, Sample


def boxes(count, height=20, width=30):
    return BoxTarget(
        boxes=torch.arange(count * 4.0).view(count, 4),
        labels=torch.arange(count),
        valid=torch.ones(count, dtype=torch.bool),
        ignored=torch.zeros(count, dtype=torch.bool),
        masks=torch.ones(count, height, width, dtype=torch.uint8),
        areas=torch.ones(count),
    )


def sample(target, index=0, size=(20, 30)):
    return Sample(
        image=torch.full((3, *size), 7, dtype=torch.uint8),
        target=target,
        index=index,
        source=f"{index}.jpg",
        original_size=(size[0] * 2, size[1] * 2),
    )


def test_collate_pads_right_and_bottom_to_the_stride():
    one, two = sample(boxes(2)), sample(boxes(0, 25, 10), index=5, size=(25, 10))
    batch = Batch.collate([one, two], stride=16)
    assert batch.images.pixels.shape == (2, 3, 32, 32)
    assert batch.images.pixels[0, :, :20, :30].eq(7).all()
    assert batch.images.pixels[0, :, 20:].eq(0).all()
    assert batch.images.pixels[0, :, :, 30:].eq(0).all()
    assert batch.images.sizes.tolist() == [[20, 30], [25, 10]]
    assert batch.images.original_sizes.tolist() == [[40, 60], [50, 20]]
    assert batch.indices.tolist() == [0, 5]
    assert len(batch) == 2


def test_rows_that_fill_up_are_not_valid():
    batched = BoxTarget.stack([boxes(3), boxes(0), boxes(1)], (32, 32))
    assert batched.valid.tolist() == [[True] * 3, [False] * 3, [True, False, False]]
    assert batched.masks.shape == (3, 3, 32, 32)
    assert batched.masks[0, 0].sum() == 20 * 30
    assert batched[0].labels.tolist() == [0, 1, 2]


def test_masks_are_dropped_unless_all_have_them():
    bare = BoxTarget(boxes=torch.zeros(1, 4), labels=torch.zeros(1, dtype=torch.int64), valid=torch.ones(1).bool(),
                     ignored=torch.zeros(1).bool())  # fmt: skip
    assert BoxTarget.stack([boxes(1), bare], (32, 32)).masks is None


def test_padding_of_masks_counts_for_nothing():
    small = MaskTarget(labels=torch.ones(2, 3, dtype=torch.uint8))
    large = MaskTarget(labels=torch.zeros(4, 4, dtype=torch.uint8))
    batched = MaskTarget.stack([small, large], (4, 4))
    assert batched.labels[0].eq(IGNORE_LABEL).sum() == 16 - 6
    assert batched.labels[1].eq(0).all()


def test_classes_are_stacked():
    batched = ClassTarget.stack([ClassTarget(probs=torch.tensor([0.0, 1.0]))] * 3, (9, 9))
    assert batched.probs.tolist() == [[0.0, 1.0]] * 3


def test_records_are_frozen_and_map_goes_all_the_way_down():
    batch = Batch.collate([sample(boxes(1))])
    doubled = batch.map(lambda tensor: tensor + tensor)
    assert doubled.targets.boxes.equal(batch.targets.boxes * 2)
    assert doubled.images.pixels.equal(batch.images.pixels * 2)
    assert doubled.targets.areas is None
    with pytest.raises(FrozenInstanceError):
        batch.indices = torch.zeros(1)
