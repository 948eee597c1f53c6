"""Bands around borders against distances that are computed one by one (SYS-065)."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion

from snellen.errors import InputError
from snellen.ops import border_band

IGNORE = 255


def random_labels(seed, size=(17, 23), num_classes=4):
    stream = np.random.default_rng(seed)
    coarse = stream.integers(0, num_classes, (size[0] // 4 + 1, size[1] // 4 + 1))
    labels = np.kron(coarse, np.ones((4, 4), int))[: size[0], : size[1]]
    labels[stream.random(size) < 0.1] = IGNORE
    return torch.from_numpy(labels.astype(np.uint8))


def slow_band(labels, width, *, with_edges):
    height, length = labels.shape
    band = torch.zeros(labels.shape, dtype=torch.bool)
    for row in range(height):
        for column in range(length):
            if labels[row, column] == IGNORE:
                continue
            around = labels[max(0, row - width) : row + width + 1, max(0, column - width) : column + width + 1]
            band[row, column] = bool(((around != labels[row, column]) & (around != IGNORE)).any())
            outside = min(row, column, height - 1 - row, length - 1 - column) < width
            band[row, column] |= with_edges and outside
    return band


@pytest.mark.parametrize("width", [0, 1, 2, 3, 5, 8, 20])
@pytest.mark.parametrize("with_edges", [True, False])
def test_against_slow(width, with_edges):
    labels = random_labels(width)
    found = border_band(labels, width_px=width, ignore=IGNORE, with_edges=with_edges)
    assert torch.equal(found, slow_band(labels, width, with_edges=with_edges))


def test_is_what_erosion_takes():
    """Cheng et al. 2021, figure 3: the mask less the mask eroded by d pixels, the image lying in nothing."""
    mask = torch.zeros(20, 24, dtype=torch.uint8)
    mask[3:15, 10:] = 1
    band = border_band(mask, width_px=3, ignore=IGNORE, with_edges=True)
    eroded = binary_erosion(mask.numpy(), np.ones((3, 3)), iterations=3, border_value=0)
    assert np.array_equal((band & (mask == 1)).numpy(), mask.numpy().astype(bool) & ~eroded)


def test_batches_are_apart():
    labels = torch.stack([random_labels(1), random_labels(2)])
    both = border_band(labels, width_px=2, ignore=IGNORE, with_edges=False)
    alone = [border_band(one, width_px=2, ignore=IGNORE, with_edges=False) for one in labels]
    assert torch.equal(both, torch.stack(alone))


def test_highest_label():
    """Label 254 and label 0 are far apart, and nothing wraps around."""
    labels = torch.tensor([[0, 0, 254, 254, IGNORE]], dtype=torch.uint8)
    found = border_band(labels, width_px=1, ignore=IGNORE, with_edges=False)
    assert found.tolist() == [[False, True, True, False, False]]


def test_refuses_less_than_nothing():
    with pytest.raises(InputError, match="0 pixels or more"):
        border_band(random_labels(0), width_px=-1, ignore=IGNORE, with_edges=False)
