"""Curves of brightness: known values, formulas, and colours that stay."""

import colorsys

import numpy as np
import pytest
import torch
from skimage import exposure

from snellen.errors import ConfigError
from snellen.imaging.tone import adjust_gamma, adjust_levels, log_transform, stretch_contrast


def test_known_values_of_the_logarithm():
    """SYS-254, ERR-079: 30 → 158, 128 → 223, 200 → 244, 250 → 254; bright pixels change little, not nothing."""
    levels = torch.tensor([0, 30, 128, 200, 250, 255], dtype=torch.uint8).view(1, 1, -1)
    assert log_transform(levels).flatten().tolist() == [0, 158, 223, 244, 254, 255]


def test_the_logarithm_of_values_in_0_to_1_is_nearly_a_line():
    """ERR-079: c log(1 + r) with r in 0..1 lifts the middle by 0.085, in 0..255 by 0.376."""
    assert np.log(1.5) / np.log(2) - 0.5 == pytest.approx(0.085, abs=1e-3)
    lifted = log_transform(torch.full((1, 1, 1), 127.5))
    assert float(lifted) / 255 - 0.5 == pytest.approx(0.376, abs=1e-3)


@pytest.mark.parametrize("gamma", [0.4, 1.0, 2.2])
def test_gamma_equals_scikit_image(photograph, colour, gamma):
    theirs = exposure.adjust_gamma(photograph.astype(float) / 255, gamma) * 255
    ours = adjust_gamma(colour.double(), gamma=gamma).permute(1, 2, 0).numpy()
    assert np.abs(ours - theirs).max() < 1e-9
    assert np.abs(adjust_gamma(colour, gamma=gamma).permute(1, 2, 0).numpy() - theirs).max() <= 0.5


def test_stretch_equals_scikit_image(photograph, colour):
    """SYS-252."""
    pale = colour.double() * 0.2 + 90
    values = np.sort(pale.numpy().ravel())
    low, high = (values[int(share * (len(values) - 1))] for share in (0.02, 0.98))
    theirs = exposure.rescale_intensity(pale.numpy(), in_range=(low, high), out_range=(0, 255))
    assert np.abs(stretch_contrast(pale, low=0.02, high=0.98).numpy() - theirs).max() < 1e-9


def test_stretch_undoes_haze_and_keeps_hues(colour):
    colour[:, 0, 0], colour[:, 0, 1] = 0, 255
    hazy = colour.double() * 0.25 + 100
    mended = stretch_contrast(hazy, low=0.0, high=1.0)
    assert (mended - colour).abs().max() < 1e-9
    for row, column in ((3, 4), (20, 33), (50, 60)):
        hues = [colorsys.rgb_to_hsv(*(image[:, row, column] / 255).tolist())[0] for image in (hazy, mended)]
        assert hues[0] == pytest.approx(hues[1], abs=1e-9)


def test_plain_images_stay():
    plain = torch.full((2, 3, 5, 5), 77, dtype=torch.uint8)
    assert torch.equal(stretch_contrast(plain), plain)


def test_levels_are_the_same_for_all_images(colour):
    pair = torch.stack([colour, colour // 2])
    expected = ((pair.double() - 20) * 255 / 180).clamp(0, 255).round().to(torch.uint8)
    assert torch.equal(adjust_levels(pair, low=20, high=200), expected)


def test_refusals(colour):
    for call in (
        lambda: adjust_gamma(colour, gamma=0),
        lambda: adjust_levels(colour, low=200, high=100),
        lambda: stretch_contrast(colour, low=0.9, high=0.1),
    ):
        with pytest.raises(ConfigError):
            call()
