"""Sliding windows: places, scores and counts against plain loops."""

import numpy as np
import pytest
import torch

from snellen.errors import ConfigError, ShapeError
from snellen.imaging import (
    continued_edges,
    count_windows,
    hog_blocks,
    lies_within,
    pyramid_scales,
    rescaled,
    score_windows,
    sliding_boxes,
)


def test_one_convolution_scores_every_window():
    """Each place against the product of the window's own features with the weights, for windows of two sizes."""
    generator = torch.Generator().manual_seed(0)
    blocks = hog_blocks(torch.rand(2, 3, 96, 80, generator=generator))
    weight, bias = torch.randn(2, 36, 5, 4, generator=generator), torch.tensor([0.5, -1.0])
    weight[1, :, 3:] = 0  # a window of 3 x 2 blocks
    weight[1, :, :, 2:] = 0
    found = score_windows(blocks, weight, bias)
    for label, (height, width) in enumerate(((5, 4), (3, 2))):
        for row in range(blocks.shape[2] - height + 1):
            for column in range(blocks.shape[3] - width + 1):
                window = blocks[1, :, row : row + height, column : column + width]
                wanted = (window * weight[label, :, :height, :width]).sum() + bias[label]
                torch.testing.assert_close(found[1, label, row, column], wanted, atol=1e-4, rtol=1e-4)


def test_boxes_stand_on_the_grid():
    boxes = sliding_boxes((3, 4), torch.tensor([[16.0, 8.0], [24.0, 24.0]]), step_px=8, scale=0.5)
    assert boxes.shape == (3, 4, 2, 4)
    for row in range(3):
        for column in range(4):
            x, y = column * 16, row * 16  # 8 px of the level are 16 of the image
            assert boxes[row, column, 0].tolist() == [x, y, x + 16, y + 32]
            assert boxes[row, column, 1].tolist() == [x, y, x + 48, y + 48]


@pytest.mark.parametrize("scale", [0.31, 0.5, 0.77, 1.0, 1.6])
def test_a_level_lies_where_its_scale_says(scale):
    """The centre of light of a spot, in pixels of the level over the scale, is its centre in the image."""
    y, x = torch.meshgrid(torch.arange(101) + 0.5, torch.arange(93) + 0.5, indexing="ij")
    image = torch.exp(-((x - 61.3) ** 2 + (y - 40.7) ** 2) / 50)[None, None]
    level = rescaled(image, scale)[0, 0]
    assert level.shape == (int(101 * scale), int(93 * scale))
    for axis, center in ((0, 40.7), (1, 61.3)):
        place = (torch.arange(level.shape[axis]) + 0.5) / scale
        light = level.sum(dim=1 - axis)
        assert float((light * place).sum() / light.sum()) == pytest.approx(center, abs=0.02)


@pytest.mark.parametrize(("height", "width"), [(2, 3), (2, 90), (1, 1)])
def test_a_level_has_a_pixel_at_least(height, width):
    """What is thinner than a pixel of the level is continued; the other side keeps its scale."""
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    level = rescaled(image, 0.23)
    assert level.shape == (1, 3, 1, max(1, int(0.23 * width)))
    assert image.min() <= level.min()
    assert level.max() <= image.max()


@pytest.mark.parametrize("scale", [0.43, 1.7])
def test_a_level_does_not_depend_on_the_canvas(scale):
    image = torch.rand(1, 3, 90, 110, generator=torch.Generator().manual_seed(0))
    alone = rescaled(image, scale)
    padded = torch.nn.functional.pad(image, (0, 23, 0, 17), mode="replicate")
    inner = tuple(slice(0, side - int(2 * max(scale, 1)) - 2) for side in alone.shape[-2:])
    together = rescaled(padded, scale)[..., : alone.shape[-2], : alone.shape[-1]]
    torch.testing.assert_close(together[..., *inner], alone[..., *inner], atol=1e-5, rtol=0)


def test_scales_go_on_as_long_as_the_window_fits():
    scales = pyramid_scales((480, 640), (64, 32), factor=1.1, largest=2.0)
    assert scales[0] == 2
    np.testing.assert_allclose(np.divide(scales[:-1], scales[1:]), 1.1)
    assert 480 * scales[-1] >= 64 > 480 * scales[-1] / 1.1
    assert pyramid_scales((20, 20), (64, 32), factor=1.2) == (1.0,)
    with pytest.raises(ConfigError, match="above 1"):
        pyramid_scales((20, 20), (8, 8), factor=1.0)


def test_edges_go_on_into_the_padding():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(2, 3, 20, 30, generator=generator)
    found = continued_edges(pixels, torch.tensor([[13, 30], [20, 7]]))
    for index, (height, width) in enumerate(((13, 30), (20, 7))):
        content = pixels[index, :, :height, :width].numpy()
        wanted = np.pad(content, ((0, 0), (0, 20 - height), (0, 30 - width)), mode="edge")
        assert (found[index].numpy() == wanted).all()


def test_windows_in_the_padding_are_outside():
    boxes = torch.tensor([[0.0, 0, 30, 20], [1.0, 0, 31, 20], [0.0, 1, 30, 21]])
    assert lies_within(boxes, torch.tensor([[20, 30], [40, 60]])).tolist() == [[True, False, False], [True] * 3]


def test_few_windows_hold_the_object():
    """A sliding window looks almost everywhere in vain (SYS-002, ERR-104)."""
    windows = torch.tensor([[64.0, 64.0]])
    boxes = torch.cat(
        [
            sliding_boxes((int(480 * s) // 8, int(640 * s) // 8), windows, step_px=8, scale=s).flatten(0, 2)
            for s in pyramid_scales((480, 640), (64, 64), factor=1.1)
        ]
    )
    valid = lies_within(boxes, torch.tensor([[480, 640]]))
    objects = torch.tensor([[[203.0, 101.0, 290.0, 195.0], [5.0, 400.0, 9.0, 404.0], [0.0, 0.0, 0.0, 0.0]]])
    count = count_windows(boxes, valid, objects, torch.tensor([[True, True, False]]))
    holding = 0
    for x1, y1, x2, y2 in boxes[valid[0]].tolist():
        shared = max(0, min(x2, 290) - max(x1, 203)) * max(0, min(y2, 195) - max(y1, 101))
        holding += shared / ((x2 - x1) * (y2 - y1) + 87 * 94 - shared) >= 0.5
    assert count.evaluated.item() == valid.sum() > 10_000
    assert count.on_objects.item() == holding
    assert 0 < holding / valid.sum() < 0.01
    assert (count.objects.item(), count.reachable.item()) == (2, 1)  # one is too small for any window


def test_bad_input():
    with pytest.raises(ShapeError, match="one depth"):
        score_windows(torch.rand(1, 36, 5, 5), torch.rand(2, 9, 3, 3), torch.zeros(2))
