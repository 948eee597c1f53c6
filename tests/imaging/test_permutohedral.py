"""Sums over a permutohedral lattice against exact Gaussian sums (Adams, Baek, Davis 2010)."""

import pytest
import torch

from snellen.errors import InputError
from snellen.imaging import PermutohedralLattice


def exact_sums(features, values):
    weights = torch.exp(-0.5 * torch.cdist(features.double(), features.double()).square())
    return weights @ values.double()


def points(dimensions, *, count=1500, width=4.0):
    stream = torch.Generator().manual_seed(dimensions)
    return torch.rand(count, dimensions, generator=stream) * width, torch.rand(count, 3, generator=stream)


@pytest.mark.parametrize(
    ("dimensions", "bias", "spread"), [(1, 0.02, 0.03), (2, 0.03, 0.04), (3, 0.04, 0.04), (5, 0.12, 0.08)]
)
def test_against_exact_sums(dimensions, bias, spread):
    features, values = points(dimensions)
    ratio = PermutohedralLattice.of(features).filtered(values) / exact_sums(features, values)
    assert abs(ratio.mean() - 1) < bias  # of its height, and of corners that are not there
    assert ratio.std() < spread  # of where points lie in their simplices


def test_shares_are_of_a_simplex():
    lattice = PermutohedralLattice.of(points(5)[0])
    assert lattice.shares.min() >= -1e-5
    assert torch.allclose(lattice.shares.sum(1), torch.ones(1500), atol=1e-5)


def test_sums_are_kept_within_the_lattice():
    """Far from one another points hear nothing of others."""
    features = torch.tensor([[0.0, 0, 0], [100, 0, 0], [0, 100, 0]])
    found = PermutohedralLattice.of(features).filtered(torch.eye(3))
    assert torch.equal(found > 0, torch.eye(3, dtype=torch.bool))


def test_any_point_may_come_first():
    features, values = points(5, count=300)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    found = PermutohedralLattice.of(features).filtered(values)
    again = PermutohedralLattice.of(features[order]).filtered(values[order])
    assert torch.allclose(found[order], again, rtol=1e-4)


@pytest.mark.parametrize("features", [torch.zeros(0, 5), torch.zeros(3), torch.tensor([[float("nan")]])])
def test_refuses_what_has_no_place(features):
    with pytest.raises(InputError, match="finite numbers of shape"):
        PermutohedralLattice.of(features)


def test_refuses_kernels_too_narrow_to_number():
    features = torch.rand(50, 5, generator=torch.Generator().manual_seed(0)) * 1e5
    with pytest.raises(InputError, match="Widen the kernel"):
        PermutohedralLattice.of(features)
