"""Filters of a neighbourhood beside OpenCV's, SciPy's and scikit-image's; Q-178: which of them removes which noise."""

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import filters
from torchvision.transforms.v2 import functional

from snellen.errors import ConfigError
from snellen.imaging import filtering
from snellen.imaging.denoising import bilateral_blur
from snellen.imaging.filtering import gaussian_blur, laplacian_sharpen, mean_blur, median_blur, unsharp_mask


def test_gaussian_equals_opencv_and_scipy(photograph, colour):
    """SYS-250."""
    image = photograph.astype(float)
    theirs = cv2.GaussianBlur(image, (9, 9), 1.5, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(_array(gaussian_blur(colour.double(), sigma_px=1.5, size=9)) - theirs).max() < 1e-9
    theirs = ndimage.gaussian_filter(image, (2.3, 2.3, 0), mode="nearest")
    assert np.abs(_array(gaussian_blur(colour.double(), sigma_px=2.3)) - theirs).max() < 1e-9


def test_gaussian_equals_torchvision(colour):
    ours = gaussian_blur(colour.double(), sigma_px=1.2, size=7)
    theirs = functional.gaussian_blur(colour.double(), [7, 7], [1.2, 1.2])
    assert (ours - theirs)[:, 3:-3, 3:-3].abs().max() < 1e-4  # torchvision's kernel is float32


@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_median_and_mean_equal_opencv(photograph, colour, size):
    assert np.array_equal(_array(median_blur(colour, size=size)), cv2.medianBlur(photograph, size))
    theirs = cv2.blur(photograph.astype(float), (size, size), borderType=cv2.BORDER_REPLICATE)
    assert np.abs(_array(mean_blur(colour.double(), size=size)) - theirs).max() < 1e-9


def test_median_in_bands(monkeypatch, colour):
    """Large images are looked at in bands of rows."""
    whole = median_blur(colour, size=5)
    monkeypatch.setattr(filtering, "_MOST_ELEMENTS", 7 * 3 * 70 * 25)
    assert torch.equal(median_blur(colour, size=5), whole)


def test_sharpening_equals_others(photograph, colour):
    """SYS-255: filter2D needs a depth and a kernel (ERR-078)."""
    luma = (photograph.astype(float) @ np.array([0.299, 0.587, 0.114]))[..., None]
    kernel = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], dtype=float)
    detail = cv2.filter2D(luma, cv2.CV_64F, kernel, borderType=cv2.BORDER_REPLICATE)[..., None]
    theirs = np.clip(photograph + 0.7 * detail, 0, 255)
    assert np.abs(_array(laplacian_sharpen(colour.double(), amount=0.7)) - theirs).max() < 1e-4
    theirs = filters.unsharp_mask(photograph.astype(float), radius=2, amount=1.5, channel_axis=2, preserve_range=True)
    apart = np.abs(_array(unsharp_mask(colour.double(), amount=1.5, sigma_px=2)) - np.clip(theirs, 0, 255))
    assert apart[8:-8, 8:-8].max() < 1e-9  # scikit-image goes on mirrored beyond the edge


@pytest.mark.parametrize("sharpen", [laplacian_sharpen, unsharp_mask])
def test_sharpening_mends_no_light(colour, sharpen):
    """ERR-078: a dark image stays as dark, and its edges become steeper."""
    dark = colour.double() * 0.2 + 10
    sharp = sharpen(dark)
    assert float(sharp.mean() / dark.mean()) == pytest.approx(1, abs=0.01)
    assert sharp.diff(dim=2).abs().mean() > 1.3 * dark.diff(dim=2).abs().mean()


def test_which_filter_for_which_noise():
    """SYS-266, Q-178: the median against single wrong pixels, edge-preserving means against Gaussian noise."""
    generator = torch.Generator().manual_seed(3)
    clean = torch.full((1, 64, 64), 60.0)
    clean[:, 16:48, 16:48] = 180.0
    salted = clean.clone()
    wrong = torch.rand(clean.shape, generator=generator) < 0.08
    salted[wrong] = torch.where(torch.rand(clean.shape, generator=generator) < 0.5, 0.0, 255.0)[wrong]
    noisy = (clean + 12 * torch.randn(clean.shape, generator=generator)).clamp(0, 255)
    names = {"mean": mean_blur, "median": median_blur, "gaussian": gaussian_blur, "bilateral": bilateral_blur}
    salt = {name: _psnr(blur(salted), clean) for name, blur in names.items()}
    grain = {name: _psnr(blur(noisy), clean) for name, blur in names.items()}
    assert max(salt, key=salt.get) == "median"
    assert salt["median"] > _psnr(salted, clean) + 10
    assert max(grain, key=grain.get) in ("bilateral", "median")
    assert grain["bilateral"] > max(grain["mean"], grain["gaussian"]) + 1


def test_refusals(colour):
    for call in (
        lambda: mean_blur(colour, size=4),
        lambda: median_blur(colour, size=0),
        lambda: gaussian_blur(colour, sigma_px=0),
        lambda: unsharp_mask(colour, amount=-1),
        lambda: laplacian_sharpen(colour, amount=float("inf")),
    ):
        with pytest.raises(ConfigError):
            call()


def _array(image: torch.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


def _psnr(image: torch.Tensor, clean: torch.Tensor) -> float:
    return float(10 * torch.log10(255**2 / (image - clean).square().mean()))
