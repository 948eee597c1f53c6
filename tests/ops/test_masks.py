"""Masks cut out and put back, against torchvision and plain loops."""

import pytest
import torch
import torchvision
from torchvision.models.detection.roi_heads import paste_masks_in_image, project_masks_on_boxes

from snellen.ops import masks as module
from snellen.ops.masks import crop_masks, paste_masks

SIZES = torch.tensor([[40, 60], [33, 50]])


def random_boxes(generator, count, height, width):
    low = torch.rand(count, 2, generator=generator, dtype=torch.float64) * torch.tensor([width, height]) * 0.7
    high = low + torch.rand(count, 2, generator=generator, dtype=torch.float64) * torch.tensor([width, height]) + 0.2
    return torch.cat([low, torch.minimum(high, torch.tensor([width, height], dtype=torch.float64))], dim=1)


def two_images(objects=3):
    """Masks of noise on a canvas of 40 by 64, nothing beyond the edge of each image."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.randint(0, 2, (2, objects, 40, 64), dtype=torch.uint8, generator=generator)
    for row, (height, width) in enumerate(SIZES.tolist()):
        masks[row, :, height:] = 0
        masks[row, :, :, width:] = 0
    boxes = torch.cat([random_boxes(generator, 9, *size) for size in SIZES.tolist()])
    boxes[0] = torch.tensor([0, 0, 60, 40])  # all of the first image
    boxes[9] = torch.tensor([0, 0, 50, 33])
    boxes[10] = torch.tensor([20, 20, 20.3, 20.4])  # less than a pixel
    image = torch.tensor([0] * 9 + [1] * 9)
    return masks, boxes, image, torch.randint(0, objects, (18,), generator=generator)


@pytest.mark.parametrize("budget", [2**26, 3000])
def test_crops_are_torchvisions_on_each_image_alone(monkeypatch, budget):
    monkeypatch.setattr(module, "MOST_ELEMENTS", budget)
    masks, boxes, image, index = two_images(objects=3 if budget > 3000 else 30)
    got = crop_masks(masks, boxes, image, index, SIZES, output_size=28)
    for row, (height, width) in enumerate(SIZES.tolist()):
        mine = image == row
        expected = project_masks_on_boxes(masks[row, :, :height, :width], boxes[mine], index[mine], 28)
        torch.testing.assert_close(got[mine], expected, rtol=1e-10, atol=1e-10)
    assert 0.2 < got.mean() < 0.8


def test_a_crop_of_a_rectangle_is_the_rectangle():
    masks = torch.zeros(1, 1, 56, 56, dtype=torch.uint8)
    masks[0, 0, 14:42, 28:] = 1
    got = crop_masks(
        masks,
        torch.tensor([[0.0, 0, 56, 56]]),
        torch.zeros(1, dtype=torch.long),
        torch.zeros(1, dtype=torch.long),
        torch.tensor([[56, 56]]),
        output_size=28,
    )
    # Samples lie between pixels, so that an edge is a quarter soft on one side and three quarters on the other.
    expected = masks[0, 0, ::2, ::2].float()
    assert ((got[0] - expected).abs() <= 0.25 + 1e-6).all()
    assert torch.equal(got[0, 9:19, 16:], expected[9:19, 16:])


def test_no_objects_and_no_boxes():
    nothing = torch.zeros(0, dtype=torch.long)
    masks = torch.zeros(1, 0, 8, 8, dtype=torch.uint8)
    boxes = torch.zeros(2, 4)
    two = torch.zeros(2, dtype=torch.long)
    assert crop_masks(masks, boxes, two, two, torch.tensor([[8, 8]]), output_size=4).shape == (2, 4, 4)
    masks = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    assert crop_masks(masks, boxes[:0], nothing, nothing, torch.tensor([[8, 8]]), output_size=4).shape == (0, 4, 4)
    assert paste_masks(torch.zeros(0, 4, 4), boxes[:0], (5, 6)).shape == (0, 5, 6)


def paste_cases():
    generator = torch.Generator().manual_seed(1)
    boxes = random_boxes(generator, 40, 90, 70)
    boxes[0] = torch.tensor([0, 0, 70, 90])
    boxes[1] = torch.tensor([10, 10, 10.2, 10.2])
    boxes[2] = torch.tensor([69.5, 89.5, 70, 90])
    boxes[3] = torch.tensor([-5, -7, 30, 20])  # beyond the edge, as before clipping
    boxes[4] = torch.tensor([60, 80, 90, 100])
    small = torch.rand(40, 4, 4, generator=generator, dtype=torch.float64)
    return torch.nn.functional.interpolate(small[:, None], size=28, mode="bicubic")[:, 0].clamp(0, 1), boxes


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_pasted_masks_are_torchvisions(dtype):
    masks, boxes = (part.to(dtype) for part in paste_cases())
    expected = paste_masks_in_image(masks[:, None], boxes, (90, 70))[:, 0]
    got = paste_masks(masks, boxes, (90, 70))
    assert got.dtype == torch.uint8
    assert got.shape == expected.shape
    differs = got.bool() != (expected > 0.5)
    if dtype == torch.float64:
        assert not differs.any()
    else:  # only where the probability is one half
        assert ((expected[differs] - 0.5).abs() < 1e-5).all()
    assert 0.05 < got.float().mean() < 0.5
    assert got.max() == 1


@pytest.mark.parametrize("budget", [2**26, 9 * 90 * 70])
def test_the_accelerators_branch_gives_the_same(monkeypatch, budget):
    masks, boxes = paste_cases()
    expected = paste_masks(masks, boxes, (90, 70))
    monkeypatch.setattr(module, "MOST_ELEMENTS", budget)
    monkeypatch.setattr(module, "_is_on_the_host", lambda tensor: False)
    assert torch.equal(paste_masks(masks, boxes, (90, 70)), expected)


def test_the_kernel_of_the_crop_is_the_one_of_roi_align():
    masks, boxes, image, index = two_images(objects=1)
    rois = torch.cat([image[:, None].double(), boxes], dim=1)
    whole = torchvision.ops.roi_align(masks[:, :1].double(), rois, 7, 1.0)[:, 0]
    got = crop_masks(masks, boxes, image, index, torch.tensor([[40, 64], [40, 64]]), output_size=7)
    torch.testing.assert_close(got, whole)
