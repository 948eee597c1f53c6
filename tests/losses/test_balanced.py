"""Weights by the effective number of examples."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from snellen.errors import InputError
from snellen.losses import (
    class_balanced_weights,
    evened_weights,
    inverse_frequency_weights,
    median_frequency_weights,
)


@pytest.mark.parametrize("beta", [0.9, 0.999, 0.9999])
def test_is_the_papers_sum(beta):
    """Cui et al. 2019, proposition 1: the effective number of n is 1 + β + … + β^(n − 1)."""
    counts = torch.tensor([1, 2, 50, 3000])
    effective = torch.tensor([sum(beta**power for power in range(int(count))) for count in counts])
    expected = 1 / effective
    torch.testing.assert_close(class_balanced_weights(counts, beta), (4 * expected / expected.sum()).float())


def test_limits():
    counts = torch.tensor([10, 100, 1000])
    assert class_balanced_weights(counts, 0.0).tolist() == [1, 1, 1]
    inverse = (1 / counts) * 3 / (1 / counts).sum()
    torch.testing.assert_close(class_balanced_weights(counts, 1.0), inverse)
    torch.testing.assert_close(class_balanced_weights(counts, 1 - 1e-9), inverse, rtol=1e-5, atol=0)


def test_a_class_without_examples_weighs_nothing():
    weights = class_balanced_weights(torch.tensor([0, 5, 5, 0]), 0.99)
    assert weights.tolist() == pytest.approx([0, 1, 1, 0])
    assert class_balanced_weights(torch.tensor([0, 0]), 0.99).tolist() == [0, 0]
    assert class_balanced_weights(torch.zeros(0, dtype=torch.long), 0.99).shape == (0,)


@pytest.mark.parametrize("beta", [-0.1, 1.1])
def test_says_what_is_wrong(beta):
    with pytest.raises(InputError, match=r"beta in 0\.\.1"):
        class_balanced_weights(torch.tensor([1]), beta)


def test_inverse_frequency_is_scikit_learns():
    """SYS-149: the weights called ``balanced``."""
    labels = np.repeat([0, 1, 2], [500, 40, 7])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    got = inverse_frequency_weights(torch.tensor([500, 40, 7]))
    assert got.tolist() == pytest.approx(expected.tolist())


def test_the_square_root_goes_half_of_the_way():
    counts = torch.tensor([400, 4])
    weights = inverse_frequency_weights(counts, power=0.5)
    assert float(weights[1] / weights[0]) == pytest.approx(10)
    assert float((weights * counts).sum()) == pytest.approx(404)
    assert inverse_frequency_weights(counts, power=0).tolist() == [1, 1]
    assert inverse_frequency_weights(torch.tensor([0, 5])).tolist() == [0, 1]
    with pytest.raises(InputError, match="power must be 0 or more"):
        inverse_frequency_weights(counts, power=-1)


def test_evened_weights_keep_the_size_of_the_loss():
    counts = torch.tensor([990, 10])
    weights = evened_weights(class_balanced_weights(counts, 0.999), counts)
    assert float((weights * counts).sum() / counts.sum()) == pytest.approx(1)
    assert evened_weights(torch.zeros(2), counts).tolist() == [0, 0]


def test_median_frequency_by_hand():
    """Eigen & Fergus 2015, section 6.3.2: frequencies of 0.5, 0.25 and 0.1 have the median 0.25."""
    pixels, image_pixels = torch.tensor([500, 250, 10, 0]), torch.tensor([1000, 1000, 100, 0])
    assert median_frequency_weights(pixels, image_pixels).tolist() == pytest.approx([0.5, 1, 2.5, 0])


def test_a_class_that_is_rare_among_images_but_large_in_them_weighs_little():
    """What median frequency balancing has over the inverse frequency of pixels."""
    pixels, image_pixels = torch.tensor([900, 90, 90]), torch.tensor([1000, 1000, 100])
    weights = median_frequency_weights(pixels, image_pixels)
    assert weights[2] < 0.2 * weights[1]


def test_median_frequency_of_nothing():
    assert (
        median_frequency_weights(torch.zeros(3, dtype=torch.long), torch.zeros(3, dtype=torch.long)).tolist() == [0] * 3
    )
