"""Warped crops: geometry on ramps, averages against torch's pooling and resizing (SYS-010)."""

import pytest
import torch
from torch.nn import functional

from snellen.errors import InputError
from snellen.ops import warp_crops

IMAGE = torch.zeros(1, dtype=torch.long)


def ramps(height, width):
    """Channel 0 is the x coordinate of each pixel's centre, channel 1 the y coordinate."""
    x = (torch.arange(width) + 0.5).expand(height, width)
    y = (torch.arange(height) + 0.5)[:, None].expand(height, width)
    return torch.stack([x, y])[None]


@pytest.mark.parametrize("box", [[40.0, 30, 80, 90], [33.3, 41.7, 47.2, 111.9], [60, 60, 61, 60.5]])
def test_the_box_fills_all_but_the_border(box):
    """Along a ramp the warp is exact: pixel j of the crop shows x1 + (j + ½ − p) · w / (S − 2p)."""
    size, context = 57, 8
    crop = warp_crops(ramps(150, 130), torch.tensor([box]), IMAGE, size=size, context=context)[0]
    step = torch.arange(size) + 0.5 - context
    x1, y1, x2, y2 = box
    torch.testing.assert_close(crop[0, 0], x1 + step * (x2 - x1) / (size - 2 * context), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(crop[1, :, 0], y1 + step * (y2 - y1) / (size - 2 * context), rtol=1e-4, atol=1e-3)


def test_outside_of_the_image_is_the_mean():
    """A box over the whole image: the border of 16 px at 227 is 0, the inside is not."""
    pixels = torch.ones(1, 3, 195, 195)
    crop = warp_crops(pixels, torch.tensor([[0.0, 0, 195, 195]]), IMAGE, size=227, context=16)[0]
    inside = torch.zeros(227, 227, dtype=torch.bool)
    inside[16:211, 16:211] = True
    assert (crop[:, inside] == 1).all()
    ring = torch.ones(227, 227, dtype=torch.bool)
    ring[15:212, 15:212] = False
    assert (crop[:, ring] == 0).all()


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_shrinking_averages_instead_of_aliasing(factor):
    pixels = torch.randn(1, 3, 20 * factor, 20 * factor, generator=torch.Generator().manual_seed(0))
    box = torch.tensor([[0.0, 0, 20 * factor, 20 * factor]])
    crop = warp_crops(pixels, box, IMAGE, size=20, context=0)
    torch.testing.assert_close(crop, functional.avg_pool2d(pixels, factor), rtol=1e-4, atol=1e-4)


def test_enlarging_is_bilinear():
    pixels = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    crop = warp_crops(pixels, torch.tensor([[0.0, 0, 12, 12]]), IMAGE, size=36, context=0)
    expected = functional.interpolate(pixels, (36, 36), mode="bilinear", align_corners=False)
    torch.testing.assert_close(crop, expected, rtol=1e-4, atol=1e-5)


def test_each_box_reads_its_image(random_boxes):
    pixels = torch.randn(3, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    boxes, image = random_boxes(9), torch.arange(9) % 3
    crops = warp_crops(pixels, boxes, image, size=15, context=3)
    for row in range(9):
        alone = warp_crops(pixels[image[row]][None], boxes[row][None], IMAGE, size=15, context=3)
        assert torch.equal(crops[row], alone[0])


def test_degenerate_boxes():
    nan, inf = torch.nan, torch.inf
    boxes = torch.tensor([[5.0, 5, 5, 9], [nan, 0, 4, 4], [0, 0, inf, 4], [9, 9, 2, 2]])
    crops = warp_crops(torch.ones(1, 3, 16, 16), boxes, IMAGE.expand(4), size=8, context=1)
    assert crops.shape == (4, 3, 8, 8)
    assert (crops == 0).all()
    assert warp_crops(torch.ones(1, 3, 16, 16), boxes[:0], IMAGE[:0], size=8, context=1).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("context", [4, -1])
def test_says_what_is_wrong(context):
    with pytest.raises(InputError, match="leaves room"):
        warp_crops(torch.ones(1, 3, 16, 16), torch.zeros(1, 4), IMAGE, size=8, context=context)
