"""SSD's augmentation: what it keeps, what it draws, and that its stream decides everything."""

import pytest
import torch
from torchvision.transforms import v2

from snellen.data.transforms import ssd_transform
from snellen.errors import InputError
from snellen.structures import BoxTarget, Sample

MEAN = torch.tensor([123, 117, 104])[:, None, None]


def sample_of(boxes, *, size=(90, 120), colour=(250, 10, 10), with_masks=False):
    """A blue image with a rectangle of one colour for each object."""
    image = torch.zeros(3, *size, dtype=torch.uint8)
    image[2] = 255
    masks = torch.zeros(len(boxes), *size, dtype=torch.uint8)
    for row, (x1, y1, x2, y2) in enumerate(boxes):
        image[:, y1:y2, x1:x2] = torch.tensor(colour, dtype=torch.uint8)[:, None, None]
        masks[row, y1:y2, x1:x2] = 1
    count = len(boxes)
    return Sample(
        image=image,
        target=BoxTarget(
            boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            labels=torch.arange(count),
            valid=torch.ones(count, dtype=torch.bool),
            ignored=torch.zeros(count, dtype=torch.bool),
            masks=masks if with_masks else None,
        ),
        index=0,
        source="memory",
        original_size=size,
    )


def draws(sample, count=120, *, size=64, flip=True, strength=1.0):
    transform = ssd_transform(size, flip=flip, strength=strength)
    return [transform(sample, torch.Generator().manual_seed(seed)) for seed in range(count)]


def test_squares_with_the_objects_inside():
    for one in draws(sample_of([(10, 20, 60, 70), (80, 5, 115, 40)], with_masks=True)):
        assert one.image.shape == (3, 64, 64)
        assert one.image.dtype == torch.uint8
        target = one.target
        assert len(target.boxes) >= 1  # a cut holds some object's centre
        assert ((target.boxes >= 0) & (target.boxes <= 64)).all()
        assert (target.boxes[:, 2:] > target.boxes[:, :2]).all()
        assert len(target.boxes) == len(target.labels) == len(target.masks)


def test_boxes_stay_on_their_objects():
    """The rectangle is the only thing of its colour: what is left of it must fill its box."""
    seen = 0
    for one in draws(sample_of([(30, 20, 80, 70)]), size=96):
        red = (one.image[0].int() - one.image[2].int()) > 40
        if not red.any():
            continue  # the colours may turn
        rows, columns = red.nonzero(as_tuple=True)
        around = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
        assert (one.target.boxes[0] - around).abs().max() <= 2
        seen += 1
    assert seen > 60


def test_same_stream_same_sample():
    sample = sample_of([(10, 20, 60, 70)])
    transform = ssd_transform(64, flip=True)
    first, second = (transform(sample, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.target.boxes, second.target.boxes)
    assert not torch.equal(first.image, transform(sample, torch.Generator().manual_seed(4)).image)


def test_half_are_zoomed_out_onto_the_mean(monkeypatch):
    """Section 3.6: up to 16 times the area, filled with the mean."""
    monkeypatch.setattr(v2.RandomIoUCrop, "forward", lambda self, entries: entries)
    shares = []
    for one in draws(sample_of([(0, 0, 120, 90)]), count=200, size=96):
        sides = one.target.boxes[0, 2:] - one.target.boxes[0, :2]
        shares.append(float(sides.prod()) / 96**2)
        if shares[-1] < 0.2:
            flat = (one.image.int() - MEAN).abs().amax(0) <= 1
            assert flat.float().mean() > 0.5
    shares = torch.tensor(shares)
    assert 0.4 < (shares < 0.99).float().mean() < 0.6
    assert 1 / 16 - 0.01 < shares.min() < 0.1


def test_objects_are_kept_by_their_centre():
    """A box far larger than the cut stays however little of it is seen; one whose centre is outside goes."""
    found = draws(sample_of([(0, 0, 120, 90), (0, 0, 14, 14)]), count=200)
    assert all(0 in one.target.labels.tolist() or 1 in one.target.labels.tolist() for one in found)
    assert any(one.target.labels.tolist() == [0] for one in found)
    assert any(one.target.labels.tolist() == [0, 1] for one in found)
    whole = [one for one in found if 0 in one.target.labels.tolist()]
    # Cut to the image: it fills it in both directions in many draws.
    assert sum(float((one.target.boxes[0, 2:] - one.target.boxes[0, :2]).min()) > 60 for one in whole) > 20


def test_a_cut_shows_less_than_a_fifth_of_a_kept_object():
    """The usual rule would drop it; SSD's keeps it, for its centre is in the cut."""
    sample = sample_of([(0, 0, 120, 90)])
    areas = []
    for seed in range(400):
        transform = ssd_transform(64, flip=False).transforms[3]
        one = transform(sample, torch.Generator().manual_seed(seed))
        assert len(one.target.boxes) == 1
        areas.append(one.image.shape[1] * one.image.shape[2] / (90 * 120))
    assert min(areas) < 0.2


@pytest.mark.parametrize("flip", [True, False])
def test_mirrored_only_where_that_is_right(monkeypatch, flip):
    monkeypatch.setattr(v2.RandomIoUCrop, "forward", lambda self, entries: entries)
    monkeypatch.setattr("snellen.data.transforms.ssd._ZOOMED_SHARE", 0.0)
    left = [float(one.target.boxes[0, 0]) for one in draws(sample_of([(0, 0, 30, 90)]), count=60, flip=flip)]
    assert {round(value) for value in left} == ({0, 48} if flip else {0})


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 2)])
def test_tiny_images(size):
    height, width = size
    for one in draws(sample_of([(0, 0, width, height)], size=size), count=30):
        assert one.image.shape == (3, 64, 64)


def test_images_without_objects():
    for one in draws(sample_of([]), count=40):
        assert one.image.shape == (3, 64, 64)
        assert one.target.boxes.shape == (0, 4)


def test_sizes_are_checked():
    with pytest.raises(InputError, match="1 pixel or more"):
        ssd_transform(0, flip=True)


@pytest.mark.parametrize("strength", [-0.1, 1.5])
def test_strength_is_checked(strength):
    with pytest.raises(InputError, match=r"0\.\.1"):
        ssd_transform(64, flip=True, strength=strength)


def test_strength_scales_what_is_drawn():
    """Without it images are resized and mirrored only; in between fewer are changed than at full strength."""
    sample = sample_of([(10, 20, 60, 70)])
    plain = draws(sample, count=8, flip=False, strength=0)
    assert all(torch.equal(one.image, plain[0].image) for one in plain)
    unchanged = []
    for strength in (0.2, 1.0):
        found = draws(sample, count=200, flip=False, strength=strength)
        unchanged.append(sum(torch.allclose(one.target.boxes, plain[0].target.boxes) for one in found) / 200)
    assert unchanged[0] > 0.6
    assert unchanged[1] < 0.3


def test_a_large_photo_is_reduced_before_it_is_put_on_a_canvas(monkeypatch):
    largest = 0
    pad, resize = v2.Pad.forward, v2.Resize.forward

    def watched(change):
        def forward(self, *inputs):
            nonlocal largest
            result = change(self, *inputs)
            largest = max(largest, *result["image"].shape[-2:])
            return result

        return forward

    monkeypatch.setattr(v2.Pad, "forward", watched(pad))
    monkeypatch.setattr(v2.Resize, "forward", watched(resize))
    for one in draws(sample_of([(100, 200, 900, 700)], size=(1200, 1600)), count=20):
        assert one.image.shape == (3, 64, 64)
    assert 64 < largest <= 64 / 0.3 + 4  # the smallest cut still fills the square
