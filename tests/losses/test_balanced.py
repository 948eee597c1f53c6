"""Weights by the effective number of examples."""

import pytest
import torch

from snellen.errors import InputError
from snellen.losses import class_balanced_weights


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
