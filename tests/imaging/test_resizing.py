"""Sizes beside OpenCV's, Pillow's and torch's; the two grids."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from snellen.errors import ConfigError
from snellen.imaging.resizing import resize_bilinear, resize_nearest, source_places


@pytest.mark.parametrize("size", [(41, 300), (128, 35), (64, 70), (1, 1)])
def test_bilinear_equals_opencv(photograph, colour, size):
    """SYS-126."""
    theirs = cv2.resize(photograph.astype(float), size[::-1], interpolation=cv2.INTER_LINEAR)
    ours = resize_bilinear(colour.double(), height=size[0], width=size[1], antialias=False)
    assert np.abs(ours.permute(1, 2, 0).numpy() - theirs).max() < 1e-6


def test_bilinear_with_antialias_equals_pillow(photograph, colour):
    theirs = np.asarray(Image.fromarray(photograph).resize((30, 20), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(resize_bilinear(colour, height=20, width=30).permute(1, 2, 0).numpy() - theirs).max() <= 1


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [3, 5, 12, 1])
def test_the_two_grids(align_corners, size):
    """SYS-127: a ramp shows where in the old image each new pixel looks; beyond the edge it sees the last pixel."""
    ramp = torch.arange(6, dtype=torch.float64).expand(1, 1, 6)
    found = resize_bilinear(ramp, height=1, width=size, align_corners=align_corners, antialias=False)
    expected = source_places(6, size, align_corners=align_corners).clamp(0, 5)
    assert torch.allclose(found.flatten(), expected)


def test_where_the_grids_differ():
    assert source_places(4, 8, align_corners=True).tolist() == pytest.approx([i * 3 / 7 for i in range(8)])
    assert source_places(4, 8).tolist() == [-0.25, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25]


def test_nearest_keeps_labels():
    """SYS-128, ERR-073: label maps have no values between two classes."""
    labels = torch.tensor([[[0, 7], [7, 3]]], dtype=torch.uint8)
    larger = resize_nearest(labels, height=6, width=6)
    assert set(larger.flatten().tolist()) == {0, 3, 7}
    assert torch.equal(larger, labels.repeat_interleave(3, 1).repeat_interleave(3, 2))
    assert set(resize_bilinear(labels, height=6, width=6).flatten().tolist()) - {0, 3, 7}


def test_proportions(colour):
    assert resize_bilinear(colour, short_side=32).shape == (3, 32, 35)
    assert resize_bilinear(colour, width=140).shape == (3, 128, 140)
    assert resize_bilinear(colour[None], height=32).shape == (1, 3, 32, 35)


def test_refusals(colour):
    for options in ({}, {"height": 0}, {"height": 3, "short_side": 3}, {"height": 3, "align_corners": True}):
        with pytest.raises(ConfigError):
            resize_bilinear(colour, **options)
