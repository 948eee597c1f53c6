"""Sizes of large parameters from a part of their values."""

import pytest
import torch
from torch import nn

from snellen.doctor.watching.parameter_sampler import MOST_VALUES, ParameterSampler, cosine, norms

CPU = torch.device("cpu")


def parameters(memory_format=torch.contiguous_format) -> list[nn.Parameter]:
    torch.manual_seed(0)
    large = torch.randn(300, 200, 3, 3).contiguous(memory_format=memory_format)
    rows = torch.randn(4000, 70) * torch.linspace(0.1, 3.0, 4000)[:, None]  # rows of very different sizes
    return [nn.Parameter(values) for values in (large, rows, torch.randn(40, 40), torch.randn(7))]


def stepped(sampler: ParameterSampler, weights: list[nn.Parameter], seed: int, *, is_first: bool):
    draws = torch.Generator().manual_seed(seed)
    for weight in weights:
        noise = torch.randn(weight.shape, generator=draws)
        weight.grad = torch.ones_like(weight) + noise.to(memory_format=torch.preserve_format)
    found = sampler.before(is_first=is_first)
    old = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight in weights:
            weight.sub_(0.1 * weight.grad)
    found |= sampler.after()
    moved = [(weight.detach() - former).norm() for weight, former in zip(weights, old, strict=True)]
    return found, old, torch.stack(moved), [weight.grad.clone() for weight in weights]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["rows", "channels last"])
def test_estimates_are_close_and_small_ones_exact(memory_format):
    weights = parameters(memory_format)
    sampler = ParameterSampler(weights, CPU)
    first, old, moved, gradients = stepped(sampler, weights, 1, is_first=True)
    assert sampler.is_waiting
    assert torch.equal(first["gradient"], norms(gradients, CPU))  # whole: clipped gradients are told by their size
    assert first["weight"] == pytest.approx(norms(old, CPU), rel=0.03)
    assert first["weight"][2:] == pytest.approx(norms(old[2:], CPU), rel=1e-6)
    assert first["update"] == pytest.approx(moved, rel=0.03)
    assert first["update"][2:] == pytest.approx(moved[2:], rel=1e-5)
    assert "agreement" not in first
    second, _, _, later = stepped(sampler, weights, 2, is_first=False)
    whole = [torch.cat([part.flatten() for part in side]) for side in (gradients, later)]
    assert float(second["agreement"]) == pytest.approx(float(nn.functional.cosine_similarity(*whole, dim=0)), abs=0.01)
    assert not sampler.is_waiting


def test_what_is_looked_at_is_a_part_of_large_ones():
    weights = parameters()
    sampler = ParameterSampler(weights, CPU)
    stepped(sampler, weights, 1, is_first=True)
    kept = [part.numel() for part in sampler._former[1]]
    assert kept[2:] == [1600, 7]
    assert all(0.8 * MOST_VALUES < count <= MOST_VALUES for count in kept[:2])


def test_parameters_without_gradients_are_left_out():
    weights = parameters()
    sampler = ParameterSampler(weights, CPU)
    weights[3].grad = torch.ones(7)
    found = sampler.before(is_first=True)
    assert torch.isnan(found["gradient"]).tolist() == [True, True, True, False]
    weights[2].grad = torch.ones(40, 40)
    again = sampler.before(is_first=False)
    assert "agreement" not in again  # other parameters than in the step before
    assert sampler.after()["update"].tolist() == [0.0] * 4
    assert sampler.after() == {}


def test_the_cosine_weighs_parts_by_what_they_stand_for():
    first, second = [torch.tensor([1.0, 0.0]), torch.tensor([1.0])], [torch.tensor([1.0, 0.0]), torch.tensor([-1.0])]
    scales = torch.tensor([1.0, 2.0])  # the second stands for four values
    assert float(cosine(first, second, scales)) == pytest.approx((1 - 4) / 5)
