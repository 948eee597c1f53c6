"""Morphology beside OpenCV's, and its algebra."""

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import morphology

from snellen.errors import ConfigError
from snellen.imaging.morphology import (
    black_top_hat,
    closing,
    dilation,
    erosion,
    morphological_gradient,
    opening,
    white_top_hat,
    window,
)

PAIRS = {
    erosion: cv2.MORPH_ERODE,
    dilation: cv2.MORPH_DILATE,
    opening: cv2.MORPH_OPEN,
    closing: cv2.MORPH_CLOSE,
    morphological_gradient: cv2.MORPH_GRADIENT,
    white_top_hat: cv2.MORPH_TOPHAT,
    black_top_hat: cv2.MORPH_BLACKHAT,
}


@pytest.mark.parametrize("ours", PAIRS)
@pytest.mark.parametrize("shape", ["square", "disk", "cross"])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_equals_opencv(photograph, colour, ours, shape, size):
    """SYS-260, SYS-261, SYS-262, SYS-263."""
    around = window(size, shape).numpy().astype(np.uint8)
    theirs = cv2.morphologyEx(photograph, PAIRS[ours], around)
    assert np.array_equal(ours(colour, size=size, shape=shape).permute(1, 2, 0).numpy(), theirs)


def test_windows():
    assert np.array_equal(window(7, "disk").numpy(), morphology.disk(3))
    assert np.array_equal(window(5, "cross").numpy(), cv2.getStructuringElement(cv2.MORPH_CROSS, (5, 5)))
    for call in (lambda: window(4), lambda: window(3, "disc")):
        with pytest.raises(ConfigError):
            call()


def test_masks_equal_scipy():
    mask = torch.rand(1, 40, 50, generator=torch.Generator().manual_seed(0)) < 0.4
    image = mask.to(torch.uint8) * 255
    theirs = ndimage.binary_opening(mask[0].numpy(), np.ones((3, 3), bool))
    inner = np.s_[2:-2, 2:-2]  # SciPy takes what lies beyond the edge for background
    assert np.array_equal((opening(image)[0].numpy() == 255)[inner], theirs[inner])


def test_algebra(colour):
    """Opening and closing do nothing twice; erosion is the dilation of the negative."""
    for change in (opening, closing):
        once = change(colour, size=5, shape="disk")
        assert torch.equal(change(once, size=5, shape="disk"), once)
    assert torch.equal(erosion(colour, size=5), 255 - dilation(255 - colour, size=5))
    assert (opening(colour) <= colour).all()
    assert (closing(colour) >= colour).all()


def test_specks_gaps_and_uneven_ground():
    image = torch.full((1, 40, 40), 50, dtype=torch.uint8)
    image[:, 10:30, 10:30] = 200
    dirty = image.clone()
    dirty[:, 4, 4] = 255
    dirty[:, 20, 20] = 0
    assert torch.equal(closing(opening(dirty)), image)
    uneven = torch.linspace(20, 200, 60).expand(1, 60, 60).clone()
    uneven[:, 30:33, 10] += 40
    uneven[:, 30:33, 50] += 40
    found = white_top_hat(uneven, size=9) > 20
    assert found.nonzero()[:, 1:].tolist() == [[row, column] for row in (30, 31, 32) for column in (10, 50)]
