"""Equalisation beside OpenCV's, and what it does to colours and noise."""

import colorsys

import cv2
import numpy as np
import pytest
import torch

from snellen.errors import ConfigError
from snellen.imaging.equalisation import clahe, equalise


def test_equalise_equals_opencv(photograph, colour):
    """SYS-251."""
    for channel in range(3):
        theirs = cv2.equalizeHist(np.ascontiguousarray(photograph[..., channel]))
        assert np.array_equal(equalise(colour[channel : channel + 1])[0].numpy(), theirs)


@pytest.mark.parametrize("limit", [1.0, 2.0, 4.0, 40.0])
@pytest.mark.parametrize(("size", "tiles"), [((64, 64), 8), ((64, 48), 4), ((61, 67), 8), ((37, 45), 4)])
def test_clahe_equals_opencv(photograph, limit, size, tiles):
    """The same but for values that lie just between two levels (sides that tiles divide, or both do not)."""
    grey = np.ascontiguousarray(photograph[: size[0], : size[1], 1])
    theirs = cv2.createCLAHE(limit, (tiles, tiles)).apply(grey)
    apart = np.abs(clahe(torch.from_numpy(grey)[None], clip_limit=limit, tiles=tiles)[0].numpy().astype(int) - theirs)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.02


def test_colours_as_with_the_luma_of_opencv(photograph, colour):
    ycc = cv2.cvtColor(photograph, cv2.COLOR_RGB2YCrCb)
    ycc[..., 0] = cv2.equalizeHist(np.ascontiguousarray(ycc[..., 0]))
    theirs = cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB)
    apart = np.abs(equalise(colour).permute(1, 2, 0).numpy().astype(int) - theirs)
    assert np.quantile(apart, 0.99) <= 3  # YCrCb of eight bits is rounded itself


def test_equalising_each_channel_shifts_hues():
    """ERR-082: by the luma the hue of a pale reddish image stays; by channels it is lost."""
    noise = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 12
    reddish = noise + torch.tensor([120.0, 100.0, 95.0])[:, None, None]
    by_channels = torch.cat([equalise(reddish[channel : channel + 1]) for channel in range(3)])
    hues = [_mean_hue_shift(reddish, image) for image in (equalise(reddish), by_channels)]
    assert hues[0] < 0.02
    assert hues[1] > 0.15


def test_the_limit_bounds_how_noise_is_amplified():
    """ERR-082: plain ground with noise of 2 levels."""
    generator = torch.Generator().manual_seed(1)
    ground = 100 + 2 * torch.randn(1, 64, 64, generator=generator)
    ground[:, :8] = 255
    ground[:, -8:] = 0
    images = {"plain": ground, "clahe": clahe(ground, clip_limit=2.0, tiles=4), "equalised": equalise(ground)}
    spread = {name: float(image[0, 16:48].std()) for name, image in images.items()}
    assert spread["equalised"] > 20 * spread["plain"]
    assert spread["clahe"] < spread["equalised"] / 4


def test_an_even_histogram_and_plain_images():
    levels = torch.arange(256, dtype=torch.uint8).repeat(4).view(1, 32, 32)
    assert torch.equal(equalise(levels), levels)
    plain = torch.full((1, 9, 9), 40, dtype=torch.uint8)
    assert torch.equal(equalise(plain), plain)
    assert clahe(torch.zeros(1, 1, 1)).shape == (1, 1, 1)


def test_refusals(colour):
    with pytest.raises(ConfigError, match="clip_limit of 1 or more"):
        clahe(colour, clip_limit=0.5)
    with pytest.raises(ConfigError, match="1 tile or more"):
        clahe(colour, tiles=0)


def _mean_hue_shift(before: torch.Tensor, after: torch.Tensor) -> float:
    shifts = []
    for pixel in range(0, 1600, 37):
        hues = [colorsys.rgb_to_hsv(*(image.flatten(1)[:, pixel] / 255).tolist())[0] for image in (before, after)]
        apart = abs(hues[0] - hues[1])
        shifts.append(min(apart, 1 - apart))
    return float(np.mean(shifts))
