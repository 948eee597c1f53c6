"""Gaussian kernels beside OpenCV's and SciPy's."""

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

from snellen.errors import ConfigError
from snellen.imaging.kernels import correlated, gaussian_kernel, gaussian_kernel_1d, gaussian_sigma


@pytest.mark.parametrize("size", [1, 3, 5, 11, 31])
@pytest.mark.parametrize("sigma", [0.5, 1.7, 4.0])
def test_equals_opencv_for_a_given_sigma(size, sigma):
    line = cv2.getGaussianKernel(size, sigma)[:, 0]
    assert np.abs(gaussian_kernel_1d(size, sigma).numpy() - line).max() < 1e-15
    assert np.abs(gaussian_kernel(size, sigma).numpy() - np.outer(line, line)).max() < 1e-15


def test_usual_sigma():
    """SYS-249, NUM-049: 3 pixels have 0.8."""
    assert gaussian_sigma(3) == pytest.approx(0.8)
    assert gaussian_sigma(11) == pytest.approx(2.0)
    for size in (3, 7, 15):
        assert float(gaussian_kernel(size).sum()) == pytest.approx(1, abs=1e-15)


def test_opencv_has_fixed_kernels_for_small_sizes():
    """ERR-080, Q-149: without a sigma OpenCV's kernel is another one up to 9 pixels, and the same from 11 on."""
    apart = {
        size: np.abs(gaussian_kernel_1d(size).numpy() - cv2.getGaussianKernel(size, 0)[:, 0]).max()
        for size in (3, 5, 7, 9, 11, 21)
    }
    assert apart[3] == pytest.approx(0.022, abs=5e-4)
    assert min(apart[size] for size in (3, 5, 7, 9)) > 1e-3
    assert max(apart[size] for size in (11, 21)) < 1e-15


@pytest.mark.parametrize("size", [0, 4, -3])
def test_kernels_have_a_middle(size):
    """ERR-080: an even kernel is off its middle."""
    with pytest.raises(ConfigError, match="odd number of pixels"):
        gaussian_kernel(size)
    with pytest.raises(ConfigError, match="above 0 pixels"):
        gaussian_kernel(3, 0.0)


def test_correlation(grey):
    """ERR-076: what is called convolution is cross-correlation, without a flip."""
    kernel = torch.tensor([[0.0, 1.0, 2.0], [-1.0, 0.5, 3.0], [4.0, 0.0, -2.0]])
    expected = ndimage.correlate(grey[0].numpy(), kernel.numpy(), mode="nearest")
    assert np.abs(correlated(grey[None], kernel)[0, 0].numpy() - expected).max() < 1e-11
    flipped = ndimage.convolve(grey[0].numpy(), kernel.numpy(), mode="nearest")
    assert np.abs(correlated(grey[None], kernel)[0, 0].numpy() - flipped).max() > 1
