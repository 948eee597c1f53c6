"""CutMix: the window is torchvision's, and the label is what can be seen."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from snellen.data.transforms import Compose, CutMix, MixingAfter, random_crop, training_transform
from snellen.data.transforms.cutmix import cutmix_window
from snellen.errors import DatasetError, InputError
from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, Sample, ValueTarget

SIZE = (40, 60)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def row(number, size=SIZE):
    return Sample(
        image=torch.full((3, *size), 50 * (number + 1), dtype=torch.uint8),
        target=ClassTarget(probs=torch.eye(4)[number]),
        index=number,
        source=str(number),
        original_size=size,
    )


def with_target(sample, target):
    return Sample(image=sample.image, target=target, index=0, source="", original_size=sample.original_size)


@pytest.mark.parametrize("seed", range(20))
def test_the_window_and_the_label_are_torchvisions(seed):
    """torchvision draws lambda, then the column, then the row of the middle; with those ours gives the same images."""
    images = torch.stack([row(number).image for number in (0, 1)])
    change = v2.CutMix(alpha=1.0, num_classes=2)
    torch.manual_seed(seed)
    mixed, labels = change(images, torch.tensor([0, 1]))
    torch.manual_seed(seed)
    share = float(change._dist.sample(()))
    column, line = int(torch.randint(SIZE[1], size=(1,))), int(torch.randint(SIZE[0], size=(1,)))
    top, left, bottom, right = cutmix_window(SIZE, share, (line, column))
    ours = images[0].clone()
    ours[:, top:bottom, left:right] = images[1][:, top:bottom, left:right]
    assert torch.equal(ours, mixed[0])
    assert labels[0, 1] == pytest.approx((bottom - top) * (right - left) / (SIZE[0] * SIZE[1]))


def test_the_label_is_the_share_of_the_pixels():
    """Yun et al. 2019: also where the window is cut off at the edges, and behind a crop of single images."""
    crop = random_crop(24)
    mix = Compose(crop, MixingAfter(CutMix(probability=1.0), row, 4, crop))
    shares = []
    for seed in range(60):
        mixed = mix(row(0), stream(seed))
        for label in range(4):
            seen = (mixed.image[0] == 50 * (label + 1)).float().mean()
            assert mixed.target.probs[label] == pytest.approx(float(seen), abs=1e-6)
        assert mixed.target.probs.sum() == pytest.approx(1)
        shares.append(float(mixed.target.probs[0]))
    assert min(shares) < 0.5
    assert max(shares) == 1


def test_it_is_a_function_of_the_stream_and_keeps_what_it_is_given():
    sample = row(0)
    before = sample.image.clone()
    first = CutMix(probability=1.0)(sample, row, 4, stream(3))
    second = CutMix(probability=1.0)(sample, row, 4, stream(3))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.target.probs, second.target.probs)
    assert torch.equal(sample.image, before)
    assert sample.target.probs.tolist() == [1, 0, 0, 0]


def test_as_often_as_asked():
    sample = row(0)
    kept = sum(CutMix(probability=0.3)(sample, row, 4, stream(seed)) is sample for seed in range(300))
    assert 0.62 < kept / 300 < 0.78
    assert CutMix(probability=0.0)(sample, row, 4, stream()) is sample


def test_label_sets_are_mixed_where_both_are_known():
    own = LabelSetTarget(shown=torch.tensor([1.0, 0.0, 0.0]), known=torch.tensor([True, True, False]))
    other = LabelSetTarget(shown=torch.tensor([0.0, 1.0, 1.0]), known=torch.tensor([True, True, True]))
    mixed = CutMix(probability=1.0)(with_target(row(0), own), lambda _: with_target(row(1), other), 2, stream(1))
    share = float((mixed.image[0] == 50).float().mean())
    assert 0 < share < 1
    assert mixed.target.shown.tolist() == pytest.approx([share, 1 - share, 1 - share])
    assert mixed.target.known.tolist() == [True, True, False]


def test_label_maps_are_pasted_with_their_pixels():
    own = MaskTarget(labels=torch.zeros(SIZE, dtype=torch.uint8))
    other = MaskTarget(labels=torch.ones(SIZE, dtype=torch.uint8))
    mixed = CutMix(probability=1.0)(with_target(row(0), own), lambda _: with_target(row(1), other), 2, stream(1))
    assert torch.equal(mixed.target.labels.bool(), mixed.image[0] == 100)
    assert 0 < mixed.target.labels.float().mean() < 1


@pytest.mark.parametrize(
    "target",
    [
        BoxTarget(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64),
                  valid=torch.zeros(0, dtype=torch.bool), ignored=torch.zeros(0, dtype=torch.bool)),
        ValueTarget(values=torch.zeros(1), known=torch.ones(1, dtype=torch.bool)),
    ],
)  # fmt: skip
def test_what_it_would_spoil_is_refused(target):
    with pytest.raises(InputError, match="CutMix works on ClassTarget and LabelSetTarget and MaskTarget"):
        CutMix()(with_target(row(0), target), row, 4, stream())


def test_numbers_out_of_range_and_unreadable_partners():
    with pytest.raises(InputError, match="alpha must be greater than 0"):
        CutMix(0.0)
    with pytest.raises(InputError, match=r"must lie in 0\.\.1"):
        CutMix(probability=1.5)

    def unreadable(_):
        raise DatasetError("broken", file="x.png")

    with pytest.raises(DatasetError, match="broken"):
        CutMix(probability=1.0)(row(0), unreadable, 4, stream())


def test_partners_of_another_size_are_resized():
    mixed = CutMix(probability=1.0)(row(0), lambda _: row(1, size=(33, 21)), 4, stream(2))
    assert mixed.image.shape == (3, *SIZE)


def test_behind_the_usual_transforms_of_training():
    change = training_transform(ClassTarget, 24, strength=0.5, flip=True)
    mix = Compose(change, MixingAfter(CutMix(probability=1.0), row, 4, change))
    images = {mix(row(0), stream(5)).image.numpy().tobytes() for _ in range(3)}
    assert len(images) == 1
    assert np.frombuffer(images.pop(), np.uint8).size == 3 * 24 * 24
