"""Colour spaces beside scikit-image's and the standard library's."""

import colorsys

import numpy as np
import pytest
from skimage.color import rgb2lab

from snellen.imaging.colour_spaces import COLOUR_SPACES, hsv, hue, intensity, lab, normalised_rg_intensity


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)


def test_hsv(image):
    expected = np.array([colorsys.rgb_to_hsv(*pixel) for pixel in (image / 255).reshape(-1, 3)]).T.reshape(3, 24, 30)
    difference = np.abs(hsv(image) - expected * 255)
    assert np.minimum(difference, 255 - difference).max() < 1.001  # hue is a circle; Pillow cuts instead of rounding
    assert np.array_equal(hue(image), hsv(image)[:1])


def test_lab(image):
    lightness, a, b = np.moveaxis(rgb2lab(image), -1, 0)
    expected = np.clip([lightness * 2.55, a + 128, b + 128], 0, 255)
    assert np.abs(lab(image) - expected).max() <= 0.6  # half a step of rounding


def test_lab_of_known_colours():
    """White, black, and the pure red of sRGB: L* 53.24, a* 80.09, b* 67.20."""
    colours = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0]]], dtype=np.uint8)
    assert lab(colours)[:, 0].T.tolist() == [[255, 128, 128], [0, 128, 128], [136, 208, 195]]


def test_normalised_rg_intensity(image):
    image[0, 0] = 0
    found = normalised_rg_intensity(image)
    total = image.sum(axis=-1, dtype=float)
    shares = np.where(total > 0, np.moveaxis(image, -1, 0)[:2] / np.maximum(total, 1), 1 / 3)
    assert np.abs(found[:2] - shares * 255).max() <= 0.5 + 1e-4
    assert np.array_equal(found[2:], intensity(image))


def test_shares_do_not_depend_on_brightness():
    colours = np.array([[[200, 100, 40], [100, 50, 20]]], dtype=np.uint8)
    found = normalised_rg_intensity(colours)[:2, 0]
    assert np.array_equal(found[:, 0], found[:, 1])


def test_intensity(image):
    expected = image @ np.array([0.299, 0.587, 0.114])
    assert np.abs(intensity(image)[0] - expected).max() <= 0.5 + 1e-4
    assert intensity(np.full((1, 1, 3), 255, np.uint8)).tolist() == [[[255]]]


@pytest.mark.parametrize("name", COLOUR_SPACES)
def test_every_space_gives_contiguous_bytes(name, image):
    channels = COLOUR_SPACES[name](image)
    assert channels.dtype == np.uint8
    assert channels.shape[1:] == (24, 30)
    assert channels.shape[0] in {1, 3}
