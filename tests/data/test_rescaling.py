"""Multi-scale training: SYS-030 (YOLOv2)."""

import pytest
import torch

from snellen.data import BatchLoader, MultiScale
from snellen.data.rescaling import rescaled
from snellen.errors import InputError
from snellen.structures import Batch, BoxTarget, ClassTarget, Sample


def sample(row=0, size=(60, 96)):
    return Sample(
        image=torch.full((3, *size), 100, dtype=torch.uint8),
        target=BoxTarget(
            boxes=torch.tensor([[6.0, 12.0, 48.0, 60.0]]),
            labels=torch.tensor([0]),
            valid=torch.tensor([True]),
            ignored=torch.tensor([False]),
        ),
        index=row,
        source="",
        original_size=size,
        regions=torch.tensor([[0.0, 0.0, 96.0, 60.0], [3.0, 3.0, 9.0, 9.0]]),
    )


class Constant:
    def __len__(self):
        return 100

    def draw(self, index, epoch, seed):
        return sample(index)


def test_everything_moves_together():
    batch = Batch.collate([sample()], stride=32)
    twice = rescaled(batch, 192, 32)
    assert tuple(twice.images.pixels.shape[-2:]) == (128, 192)
    assert twice.images.sizes.tolist() == [[120, 192]]
    assert twice.images.original_sizes.tolist() == [[60, 96]]
    assert twice.targets.boxes[0, 0].tolist() == [12, 24, 96, 120]
    assert twice.images.regions.boxes[0, 1].tolist() == [6, 6, 18, 18]
    assert twice.images.pixels[0, 0, 50, 50] == 100


def test_the_same_size_is_the_same_batch():
    batch = Batch.collate([sample()], stride=32)
    assert rescaled(batch, 96, 32) is batch


def test_a_size_lasts_ten_batches_and_is_a_function_of_seed_and_place():
    scale = MultiScale(factors=(0.5, 2.0))
    sizes = [scale.size(96, 32, seed=3, epoch=1, batch=number) for number in range(200)]
    assert sizes == [scale.size(96, 32, seed=3, epoch=1, batch=number) for number in range(200)]
    assert all(len(set(sizes[first : first + 10])) == 1 for first in range(0, 200, 10))
    assert set(sizes) == {64, 96, 128, 160, 192}  # multiples of the stride from half to twice of 96


def test_a_loader_draws_sizes_and_goes_on_in_the_middle():
    loader = BatchLoader(dataset=Constant(), batch_size=2, stride=32, multi_scale=MultiScale(factors=(0.6, 2.0)))
    shapes = [tuple(batch.images.pixels.shape) for batch in loader.epoch(0)]
    assert len(set(shapes)) > 1
    assert [tuple(batch.images.pixels.shape) for batch in loader.epoch(0, first_batch=15)] == shapes[15:]


@pytest.mark.parametrize("factors", [(0.0, 1.0), (2.0, 1.0)])
def test_wrong_factors(factors):
    with pytest.raises(InputError, match="rising pair"):
        MultiScale(factors=factors)


def test_only_boxes():
    classes = Sample(
        image=torch.zeros(3, 8, 8, dtype=torch.uint8),
        target=ClassTarget(probs=torch.ones(1)),
        index=0,
        source="",
        original_size=(8, 8),
    )
    with pytest.raises(InputError, match="only boxes"):
        rescaled(Batch.collate([classes]), 64, 32)
