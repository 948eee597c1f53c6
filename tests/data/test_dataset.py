"""Samples: targets, determinism of draws, mistakes."""

import pytest
import torch

from snellen.data import ImageDataset, load
from snellen.errors import DatasetError
from snellen.structures import BoxTarget, Dataset, Sample


def shifting(sample: Sample, generator: torch.Generator) -> Sample:
    noise = torch.randint(0, 2, sample.image.shape, generator=generator, dtype=torch.uint8)
    return Sample(
        image=sample.image // 2 + noise,
        target=sample.target,
        index=sample.index,
        source=sample.source,
        original_size=sample.original_size,
    )


def test_draws_are_a_function_of_three_numbers(make):
    data = ImageDataset(load(make.yolo("0 0.5 0.5 0.2 0.2")), shifting)
    first = data.draw(0, 3, 7).image
    data.draw(1, 9, 9)
    assert torch.equal(first, data.draw(0, 3, 7).image)
    for other in (data.draw(0, 4, 7), data.draw(0, 3, 8), data.draw(1, 3, 7)):
        assert not torch.equal(first, other.image)
    assert torch.equal(data[1].image, data.draw(1, 0, 0).image)


def test_sample_and_truth(make):
    data = ImageDataset(load(make.yolo("0 0.5 0.5 0.5 0.2\n")))
    assert isinstance(data, Dataset)
    sample = data[0]
    assert sample.image.shape == (3, 30, 40)
    assert (sample.original_size, sample.index) == ((30, 40), 0)
    assert sample.source.endswith("images/train/a.jpg")
    assert torch.allclose(sample.target.boxes, torch.tensor([[10.0, 12.0, 30.0, 18.0]]), atol=1e-4)
    assert data.target_type is BoxTarget
    assert data.classes == ("cat", "dog")
    assert len(data) == 2
    assert sample.target.masks is None


def test_truth_does_not_decode(make):
    data = ImageDataset(load(make.yolo("0 0.5 0.5 0.5 0.2\n")))
    path = data.index.path(0)
    path.write_bytes(path.read_bytes()[:400])
    assert len(data.truth(0).boxes) == 1
    with pytest.raises(DatasetError, match="truncated"):
        data[0]


def test_targets_are_not_views_of_the_index(make):
    data = ImageDataset(load(make.yolo("0 0.5 0.5 0.5 0.2\n")))
    data.truth(0).boxes.zero_()
    assert data.truth(0).boxes.sum() > 0


def test_real_samples_collate(shared_data):
    from snellen.structures import Batch

    data = ImageDataset(load(shared_data / "coco"), masks=True)
    batch = Batch.collate([data[row] for row in (0, 1, 2)], stride=32)
    assert batch.targets.masks.shape[-2:] == batch.images.pixels.shape[-2:]


def test_masks_only_where_wanted(shared_data):
    index = load(shared_data / "coco")
    plain, outlined = (ImageDataset(index, masks=masks) for masks in (False, True))
    assert plain.truth(0).masks is None
    assert plain[0].target.masks is None
    size = index.size(0)
    assert outlined.truth(0).masks.shape == (len(outlined.truth(0).labels), *size)
    assert torch.equal(plain.truth(0).boxes, outlined.truth(0).boxes)
    assert torch.equal(plain.truth(0).areas, outlined.truth(0).areas)
