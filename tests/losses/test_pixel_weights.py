"""Weights between objects (U-Net)."""

import numpy as np
import torch
from scipy import ndimage

from snellen.losses import border_weights
from snellen.structures import IGNORE_LABEL


def brute_force(labels: np.ndarray, weight: float, sigma: float) -> np.ndarray:
    """Ronneberger et al. 2015, eq. 2, with a distance for every object and every pixel."""
    distances = []
    for label in sorted(set(labels.flatten()) - {0, IGNORE_LABEL}):
        parts, count = ndimage.label(labels == label)
        for number in range(1, count + 1):
            inside = parts == number
            pixels = np.argwhere(inside)
            outside = np.argwhere(~np.pad(inside, 1)) - 1
            grid = np.argwhere(np.ones(labels.shape, bool))
            to_object = np.sqrt(((grid[:, None] - pixels) ** 2).sum(-1)).min(1)
            to_rest = np.sqrt(((grid[:, None] - outside) ** 2).sum(-1)).min(1)
            distances.append((to_object + to_rest).reshape(labels.shape))
    if len(distances) < 2:
        return np.zeros(labels.shape)
    first, second = np.sort(np.stack(distances), axis=0)[:2]
    return weight * np.exp(-((first + second) ** 2) / (2 * sigma**2))


def cells() -> torch.Tensor:
    labels = torch.zeros(2, 24, 30, dtype=torch.uint8)
    labels[0, 3:12, 2:10] = 1
    labels[0, 4:11, 12:20] = 1
    labels[0, 15:22, 5:9] = 2
    labels[0, :, 28:] = IGNORE_LABEL
    labels[1, 5:9, 5:9] = 1  # alone
    return labels


def test_weights_are_those_of_the_paper():
    labels = cells()
    found = border_weights(labels, weight=10.0, sigma=3.0)
    for image, weights in zip(labels.numpy(), found.numpy(), strict=True):
        np.testing.assert_allclose(weights, brute_force(image, 10.0, 3.0), atol=10 * np.exp(-8) * 1.01)


def test_the_gap_between_two_cells_weighs_most():
    found = border_weights(cells(), weight=10.0, sigma=5.0)
    assert found.dtype == torch.float32
    gap, far = found[0, 8, 10:12], found[0, 13, 25]
    assert gap.min() > 8
    assert far < 0.5
    assert not found[1].any()
