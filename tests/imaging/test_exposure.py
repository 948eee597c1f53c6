"""Light that differs from place to place."""

import cv2
import numpy as np
import pytest
import torch

from snellen.errors import ConfigError
from snellen.imaging.exposure import local_threshold, repair_exposure


@pytest.fixture
def page() -> tuple[torch.Tensor, torch.Tensor]:
    """Print under a light that falls from left to right to a tenth, and where the ink is."""
    ink = torch.zeros(96, 160, dtype=torch.bool)
    for row in range(10, 86, 12):
        for column in range(8, 150, 12):
            ink[row : row + 5, column : column + 7] = True
    light = torch.linspace(1.0, 0.1, 160)
    paper = torch.where(ink, 60.0, 230.0) * light
    noise = torch.randn(paper.shape, generator=torch.Generator().manual_seed(0))
    return (paper + 1.5 * noise).clamp(0, 255)[None], ink


@pytest.mark.parametrize("size", [11, 31])
def test_local_threshold_equals_opencv(photograph, size):
    grey = np.ascontiguousarray(photograph[..., 0])
    theirs = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, size, 10)
    ours = local_threshold(torch.from_numpy(grey)[None], size=size, offset=10)[0].numpy()
    assert (ours != theirs).mean() < 0.01  # OpenCV rounds the mean


def test_local_thresholds_where_one_for_all_fails(page):
    """DX-034: intersection over union of the ink, with Otsu's threshold and with a local one."""
    image, ink = page
    whole = image[0].round().to(torch.uint8).numpy()
    level, _ = cv2.threshold(whole, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    found = {"one": torch.from_numpy(whole <= level), "local": local_threshold(image, size=31, offset=5)[0] == 0}
    overlap = {name: float((mask & ink).sum() / (mask | ink).sum()) for name, mask in found.items()}
    assert overlap["one"] < 0.5
    assert overlap["local"] > 0.9


def test_with_one_threshold_it_is_moroneys():
    """Plain images: 255 (r / 255) ^ 2 ^ ((m - 128) / 128), where the light m is the level itself."""
    levels = torch.tensor([10.0, 60.0, 128.0, 200.0], dtype=torch.float64)
    plain = levels[:, None, None, None].expand(-1, 1, 20, 20)
    beyond = torch.where(levels < 128, (levels - 128) / 128, (levels - 128) / 127)
    expected = 255 * (levels / 255) ** (2**beyond)
    assert torch.allclose(repair_exposure(plain, dark=128, bright=128)[:, 0, 5, 5], expected)


def test_shadow_and_glare_are_repaired():
    """Half of a scene in the shade, a part of the rest too bright: both come back towards the middle."""
    texture = 20 * torch.rand(1, 64, 96, generator=torch.Generator().manual_seed(0))
    scene = 120 + texture
    scene[..., :48] = scene[..., :48] * 0.15
    scene[:, :24, 64:] = 225 + texture[:, :24, 64:]
    mended = repair_exposure(scene)
    shade, glare, rest = (np.s_[:, :, :40], np.s_[:, :20, 70:], np.s_[:, 34:, 60:])
    assert scene[shade].mean() < 25
    assert mended[shade].mean() > 50
    assert mended[glare].mean() < scene[glare].mean() - 10
    assert (mended[rest] - scene[rest]).abs().max() < 1e-3
    assert mended[shade].std() > 1.5 * scene[shade].std()


def test_what_is_well_lit_stays(grey):
    middle = grey.clamp(100, 170)
    assert torch.allclose(repair_exposure(middle), middle, atol=1e-9)


def test_refusals(grey):
    for options in ({"dark": 0}, {"dark": 200, "bright": 100}, {"bright": 255}):
        with pytest.raises(ConfigError):
            repair_exposure(grey, **options)
    with pytest.raises(ConfigError):
        local_threshold(grey, size=8)
