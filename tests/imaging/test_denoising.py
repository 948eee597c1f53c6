"""Means over what is alike, beside loops over their definitions, OpenCV and scikit-image."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from skimage import restoration

from snellen.errors import ConfigError
from snellen.imaging.denoising import bilateral_blur, guided_blur, noise_sigma, non_local_means


@pytest.fixture
def noisy(colour) -> torch.Tensor:
    noise = torch.randn(colour.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (colour + 15 * noise).clamp(0, 255)


def _by_definition(image: np.ndarray, reach: int, patch: int, weigh: Callable[..., float]) -> np.ndarray:
    margin = reach + patch
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    mean = np.zeros_like(image)

    def around(row: int, column: int) -> np.ndarray:
        return padded[row - patch : row + patch + 1, column - patch : column + patch + 1]

    for row, column in np.ndindex(image.shape[:2]):
        at, total, weights = (row + margin, column + margin), 0.0, 0.0
        for down in range(-reach, reach + 1):
            for across in range(-reach, reach + 1):
                other = at[0] + down, at[1] + across
                weight = weigh(around(*at), around(*other), down, across)
                total, weights = total + weight * padded[other], weights + weight
        mean[row, column] = total / weights
    return mean


def test_bilateral_by_definition(noisy):
    part = noisy[:, :14, :13].contiguous()

    def weigh(here, there, down, across):
        return np.exp(-((here - there) ** 2).sum() / (2 * 30**2) - (down**2 + across**2) / (2 * 1.2**2))

    expected = _by_definition(part.permute(1, 2, 0).numpy(), 4, 0, weigh)
    ours = bilateral_blur(part, sigma_px=1.2, sigma_levels=30).permute(1, 2, 0).numpy()
    assert np.abs(ours - expected).max() < 1e-9


def test_bilateral_equals_opencv(noisy):
    """Its window is a disk, which cuts off weights below 0.01."""
    theirs = cv2.bilateralFilter(noisy[1].float().numpy(), 11, 25, 1.5, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(bilateral_blur(noisy[1:2], sigma_px=1.5, sigma_levels=25)[0].numpy() - theirs).max() < 0.1


def test_non_local_means_by_definition(noisy):
    part = noisy[:, :12, :11].contiguous()

    def weigh(here, there, down, across):
        return np.exp(-max(((here - there) ** 2).mean() - 2 * 15**2, 0) / 12**2)

    expected = _by_definition(part.permute(1, 2, 0).numpy(), 4, 1, weigh)
    ours = non_local_means(part, strength=12, noise=15, patch=3, reach=4).permute(1, 2, 0).numpy()
    assert np.abs(ours - expected).max() < 1e-9


def test_non_local_means_like_scikit_image(photograph, noisy):
    theirs = restoration.denoise_nl_means(
        noisy.permute(1, 2, 0).numpy(),
        patch_size=5,
        patch_distance=6,
        h=12,
        sigma=15,
        preserve_range=True,
        channel_axis=2,
    )
    ours = non_local_means(noisy, strength=12, noise=15).permute(1, 2, 0).numpy()
    assert np.abs(ours - theirs)[10:-10, 10:-10].mean() < 0.5  # it drops weights below exp(-5)
    error = {name: np.sqrt(((image - photograph) ** 2).mean()) for name, image in (("ours", ours), ("theirs", theirs))}
    assert error["ours"] < 1.1 * error["theirs"]


def test_strength_follows_the_noise(colour, noisy):
    """With nothing given, noise is taken off where there is some, and hardly anything elsewhere."""
    before, after = ((image - colour).square().mean().sqrt() for image in (noisy, non_local_means(noisy)))
    assert after < 0.6 * before
    assert (non_local_means(colour.double()) - colour).square().mean().sqrt() < 2


def test_guided_equals_opencv(colour):
    values = colour[0].float().numpy()
    theirs = cv2.ximgproc.guidedFilter(values, values, 4, 25.0**2)
    assert np.abs(guided_blur(colour[:1].double(), radius_px=4)[0].numpy() - theirs)[9:-9, 9:-9].max() < 0.05


@pytest.mark.parametrize("sigma", [3.0, 8.0, 20.0])
def test_noise_is_measured(sigma):
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(60, 190, 128).expand(3, 128, 128).clone()
    ramp[:, 40:80, 40:80] += 50
    image = ramp + sigma * torch.randn(ramp.shape, generator=generator)
    pair = noise_sigma(torch.stack([image, ramp]))
    assert float(pair[0]) == pytest.approx(sigma, rel=0.05)
    assert pair[1] < 0.1


def test_refusals(colour):
    for call in (
        lambda: bilateral_blur(colour, sigma_px=0),
        lambda: bilateral_blur(colour, sigma_levels=-1),
        lambda: non_local_means(colour, patch=4),
        lambda: non_local_means(colour, reach=0),
        lambda: non_local_means(colour, strength=0),
        lambda: guided_blur(colour, radius_px=0),
    ):
        with pytest.raises(ConfigError):
            call()
