"""Filters by frequency beside scikit-image's and a cosine transform."""

import numpy as np
import pytest
import torch
from scipy import fft
from skimage import filters

from snellen.errors import ConfigError
from snellen.imaging.frequency import PASS_SHAPES, high_pass, low_pass, transfer


@pytest.mark.parametrize("shape", PASS_SHAPES)
def test_equals_a_cosine_transform(grey, shape):
    """A mirrored image has a cosine transform, whose k-th frequency is k / 2n cycles per pixel."""
    height, width = grey.shape[-2:]
    frequency = np.hypot((np.arange(height) / (2 * height))[:, None], np.arange(width) / (2 * width))
    weight = transfer(torch.from_numpy(frequency), cutoff=0.08, shape=shape, order=2).numpy()
    theirs = fft.idctn(fft.dctn(grey[0].numpy(), norm="ortho") * weight, norm="ortho")
    assert np.abs(low_pass(grey, cutoff=0.08, shape=shape)[0].numpy() - np.clip(theirs, 0, 255)).max() < 1e-9


@pytest.mark.parametrize("order", [1, 3])
def test_butterworth_equals_scikit_image(grey, order):
    """SYS-264, SYS-265."""
    height, width = grey.shape[-2:]
    values = grey[0].numpy()
    mirrored = np.block([[values, values[:, ::-1]], [values[::-1], values[::-1, ::-1]]])
    slow, quick = (filters.butterworth(mirrored, 0.1, is_high, order)[:height, :width] for is_high in (False, True))
    assert np.abs(low_pass(grey, cutoff=0.1, order=order)[0].numpy() - np.clip(slow, 0, 255)).max() < 1e-9
    assert np.abs(high_pass(grey, cutoff=0.1, order=order)[0].numpy() - quick).max() < 1e-9


@pytest.mark.parametrize("shape", PASS_SHAPES)
def test_waves_above_and_below_the_cutoff(shape):
    """Q-178: low frequencies are slow changes, high ones edges and detail."""
    across = torch.arange(128, dtype=torch.float64) + 0.5
    slow, quick = (60 * torch.cos(2 * torch.pi * cycles * across) for cycles in (4 / 128, 40 / 128))
    image = (128 + slow + quick).expand(1, 64, 128)
    kept, left = low_pass(image, cutoff=0.1, shape=shape), high_pass(image, cutoff=0.1, shape=shape)
    assert (kept - 128 - slow).abs().mean() < 3
    assert (left - quick).abs().mean() < 3
    assert (kept + left - image).abs().max() < 1e-9


def test_at_the_cutoff():
    """Gonzalez and Woods: a Butterworth filter lets through a half, a Gaussian one 0.607, an ideal one all."""
    passed = {shape: float(transfer(torch.tensor(0.1), cutoff=0.1, shape=shape)) for shape in PASS_SHAPES}
    assert passed == {"ideal": 1.0, "butterworth": 0.5, "gaussian": pytest.approx(np.exp(-0.5))}


def test_ideal_filters_ring():
    """Beside a step an ideal filter overshoots, a Gaussian one does not."""
    step = torch.full((1, 32, 128), 60.0, dtype=torch.float64)
    step[..., 64:] = 190.0
    peaks = {shape: float(low_pass(step, cutoff=0.05, shape=shape).max()) for shape in PASS_SHAPES}
    assert peaks["ideal"] > 199
    assert peaks["gaussian"] < 190.01
    assert peaks["gaussian"] < peaks["butterworth"] < peaks["ideal"]


def test_opposite_edges_do_not_mix():
    half = torch.full((1, 32, 64), 20.0)
    half[..., 32:] = 220.0
    assert (low_pass(half, cutoff=0.2, shape="gaussian")[..., 0] - 20).abs().max() < 0.1


def test_refusals(grey):
    for options in ({"cutoff": 0.0}, {"cutoff": 0.8}, {"order": 0}, {"shape": "box"}):
        with pytest.raises(ConfigError):
            low_pass(grey, **options)
