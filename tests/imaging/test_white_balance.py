"""Tints that are planted, and taken off again."""

import cv2
import numpy as np
import pytest
import torch

from snellen.errors import ConfigError
from snellen.imaging.white_balance import (
    adjust_gains,
    grey_edge,
    grey_world,
    neutral_light,
    shades_of_grey,
    white_patch,
)

TINT = torch.tensor([1.0, 0.8, 0.5], dtype=torch.float64)[:, None, None]  # a yellow lamp


@pytest.fixture
def scene() -> torch.Tensor:
    """Grey on average, with grey edges, and a white patch."""
    generator = torch.Generator().manual_seed(0)
    blobs = torch.rand(3, 8, 8, generator=generator, dtype=torch.float64)
    scene = torch.nn.functional.interpolate(blobs[None], (64, 64), mode="bicubic", align_corners=False)[0] * 60 + 60
    scene[:, :6] = 20.0
    scene *= 90 / scene.mean((1, 2), keepdim=True)
    scene[:, 30:40, 30:40] += 240 - scene[:, 30:40, 30:40].mean((1, 2), keepdim=True)
    return scene * (100 / scene.mean((1, 2), keepdim=True))


def _tint_left(image: torch.Tensor, scene: torch.Tensor) -> float:
    """Return the largest logarithm of a ratio of gains that is left."""
    ratio = (image / scene)[:, 8:28, 8:28].mean((1, 2)).log()
    return float(ratio.max() - ratio.min())


@pytest.mark.parametrize(
    ("operation", "most"),
    [(grey_world, 1e-9), (shades_of_grey, 0.02), (white_patch, 0.05), (grey_edge, 0.1), (neutral_light, 0.1)],
)
def test_a_planted_tint_is_taken_off(scene, operation, most):
    """SYS-253, DX-033."""
    tinted = scene * TINT
    assert _tint_left(tinted, scene) == pytest.approx(np.log(2))
    assert _tint_left(operation(tinted), scene) < most


def test_grey_world_equals_opencv_up_to_one_factor(photograph, colour):
    balance = cv2.xphoto.createGrayworldWB()
    balance.setSaturationThreshold(1.0)
    dim = (photograph * np.array([0.5, 0.4, 0.2])).astype(np.uint8)  # so that nothing is clipped
    theirs = balance.balanceWhite(np.ascontiguousarray(dim[..., ::-1]))[..., ::-1].astype(float)
    ours = grey_world(torch.from_numpy(dim).permute(2, 0, 1).double()).permute(1, 2, 0).numpy()
    factor = theirs.mean() / ours.mean()
    assert np.abs(ours * factor - theirs).max() < 1.5  # OpenCV's gains are rounded to 1/256


def test_a_green_wood_stays_green(scene):
    """Large areas of one colour mislead grey_world, and not neutral_light: the bright places are white."""
    wood = scene * torch.tensor([0.6, 1.0, 0.5], dtype=torch.float64)[:, None, None]
    wood[:, 20:44, 20:44] = 235.0
    assert _tint_left(neutral_light(wood), wood) < 0.1
    assert _tint_left(grey_world(wood), wood) > 0.3


def test_neutral_light_keeps_the_brightness(scene):
    tinted = scene * TINT
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)[:, None, None]
    before, after = ((image * weights).sum(0).mean() for image in (tinted, neutral_light(tinted)))
    assert float(after / before) == pytest.approx(1, abs=0.02)


def test_given_gains(colour):
    expected = (colour.double() * torch.tensor([1.2, 1.0, 0.5])[:, None, None]).clamp(0, 255).round().to(torch.uint8)
    assert torch.equal(adjust_gains(colour, red=1.2, blue=0.5), expected)


@pytest.mark.parametrize("operation", [grey_world, shades_of_grey, white_patch, grey_edge, neutral_light])
def test_black_and_grey_images_stay(operation, grey):
    black = torch.zeros(3, 9, 9, dtype=torch.uint8)
    assert torch.equal(operation(black), black)
    assert torch.equal(operation(grey), grey)


def test_refusals(colour):
    for call in (
        lambda: adjust_gains(colour, red=0),
        lambda: shades_of_grey(colour, norm=0.5),
        lambda: grey_edge(colour, norm=0.5),
        lambda: grey_edge(colour, sigma_px=0),
        lambda: white_patch(colour, share=0),
    ):
        with pytest.raises(ConfigError):
            call()
