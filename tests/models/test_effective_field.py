"""Receptive fields measured by gradients (SYS-138, Q-086; ERR-054: the effective field is not the theoretical one)."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snellen.errors import ConfigError, InputError
from snellen.models.backbones import Backbone, find_backbone
from snellen.models.effective_field import LEAST_SHARE, effective_fields, effective_size
from snellen.structures import FeatureSpec


class Chain(Backbone):
    """Convolutions 3×3 of equal weights, without any activation: what is seen is a binomial distribution."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        depths = [3, *[1] * (depth - 1)]
        self.layers = nn.Sequential(*(nn.Conv2d(channels, 1, 3, padding=1, bias=False) for channels in depths))
        for layer in self.layers:
            nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
        self.features = (FeatureSpec(name="c0", channels=1, stride=1),)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"c0": self.layers(x)}


@pytest.mark.parametrize("depth", [1, 4, 9])
def test_chain_of_equal_weights_is_a_power_of_its_kernel(depth):
    """Luo et al. 2016, section 2: the gradient is the kernel convolved with itself; its spread grows with the root."""
    (found,) = effective_fields(Chain(depth), side=41, num_images=1)
    line = np.ones(1)
    for _ in range(depth):
        line = np.convolve(line, np.ones(3) / 3)
    plane = np.outer(line, line)
    wanted = np.sqrt((plane > LEAST_SHARE * plane.max()).sum())
    assert found.theory_px == 2 * depth + 1
    assert found.reached_px == (2 * depth + 1, 2 * depth + 1)
    assert found.size_px == pytest.approx(wanted)
    start = 20 - depth
    np.testing.assert_allclose(
        found.parts[start : start + len(line), start : start + len(line)], plane / plane.max(), rtol=1e-4
    )
    assert found.box_px == (start, start, start + len(line), start + len(line))


def test_deeper_chains_use_a_smaller_share():
    sizes = [effective_fields(Chain(depth), side=61, num_images=1)[0] for depth in (2, 8, 24)]
    shares = [found.size_px / found.theory_px for found in sizes]
    assert shares[0] > shares[1] > shares[2]


def test_measured_support_equals_theory_in_a_network():
    torch.manual_seed(0)
    found = effective_fields(find_backbone("resnet18")(), side=256, num_images=1, features=("c1", "c2", "c3", "c4"))
    for field in found:
        assert field.reached_px == (field.theory_px, field.theory_px)
        assert field.size_px <= field.theory_px
        left, top, right, bottom = field.box_px
        assert (right - left, bottom - top) == field.reached_px
        rows, columns = np.nonzero(field.parts)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == field.box_px


def test_same_seed_same_picture_and_nothing_is_changed():
    backbone = find_backbone("lenet5")().train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    one, other = (effective_fields(backbone, num_images=2, seed=3) for _ in range(2))
    assert all(np.array_equal(a.parts, b.parts) for a, b in zip(one, other, strict=True))
    assert backbone.training
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert all(p.grad is None for p in backbone.parameters())


def test_size_counts_what_is_above_the_share():
    parts = np.zeros((5, 5), dtype=np.float32)
    parts[2, 1:4] = (0.04, 1.0, 0.05)
    assert effective_size(parts) == pytest.approx(2**0.5)


def test_nothing_to_measure():
    with pytest.raises(ConfigError, match="zero everywhere"):
        effective_size(np.zeros((3, 3), dtype=np.float32))
    with pytest.raises(InputError, match="at least one image of 32 px or more; got 1 of 8 px"):
        effective_fields(find_backbone("resnet18")(), side=8, num_images=1)
    with pytest.raises(ConfigError, match="no feature 'c9'"):
        effective_fields(find_backbone("resnet18")(), features=("c9",))
