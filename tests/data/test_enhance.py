"""Operations on images of a data set: at reading, and as an augmentation."""

import pytest
import torch

from snellen.data import ImageDataset, load
from snellen.data.dataset import draw_generator
from snellen.data.transforms import Enhance, horizontal_flip
from snellen.errors import ConfigError, InputError
from snellen.imaging import Enhancement
from snellen.structures import BoxTarget, Sample


@pytest.fixture
def sample() -> Sample:
    image = torch.randint(256, (3, 20, 30), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    nothing = torch.zeros(1, dtype=torch.bool)
    target = BoxTarget(
        boxes=torch.tensor([[2.0, 3.0, 9.0, 9.0]]),
        labels=torch.zeros(1, dtype=torch.int64),
        valid=~nothing,
        ignored=nothing,
    )
    return Sample(image=image, target=target, index=0, source="a.png", original_size=(20, 30))


def test_the_image_and_nothing_else(sample):
    changed = Enhance("clahe:tiles=4,median")(sample, draw_generator(0, 0, 0))
    assert torch.equal(changed.image, Enhancement.read("clahe:tiles=4,median")(sample.image))
    assert changed.target is sample.target


def test_a_share_of_the_samples_by_their_draw(sample):
    """Law 9: the same draw gives the same image."""
    change = Enhance("equalise", probability=0.3)
    draws = [torch.equal(change(sample, draw_generator(1, 2, row)).image, sample.image) for row in range(200)]
    again = [torch.equal(change(sample, draw_generator(1, 2, row)).image, sample.image) for row in range(200)]
    assert draws == again
    assert 0.6 < sum(draws) / 200 < 0.8
    assert repr(change) == "Enhance('equalise', probability=0.3)"


def test_refusals():
    with pytest.raises(ConfigError, match="moves pixels"):
        Enhance("resize:short_side=10")
    with pytest.raises(InputError, match="probability"):
        Enhance("clahe", probability=2)


def test_a_data_set_enhances_at_reading(make):
    """Before everything else: what is augmented, mixed and measured is the enhanced image."""
    index = load(make.yolo("0 0.5 0.5 0.5 0.2\n"))
    enhancement = Enhancement.read("gamma:gamma=0.5")
    plain, changed = ImageDataset(index), ImageDataset(index, enhancement=enhancement)
    assert torch.equal(changed[0].image, enhancement(plain[0].image))
    flipped = ImageDataset(index, horizontal_flip(1.0), enhancement=enhancement)
    assert torch.equal(flipped[0].image, changed[0].image.flip(-1))
    with pytest.raises(ConfigError, match="moves pixels"):
        ImageDataset(index, enhancement=Enhancement.read("resize:short_side=10"))
