"""Other activations, norms and first weights in networks that are built already."""

import numpy as np
import pytest
import torch
from torch import nn

from snellen.errors import ConfigError
from snellen.models import (
    ACTIVATIONS,
    INITS,
    NORMS,
    change_activations,
    draw_weights,
    find_model,
    norm_named,
)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "maxout"])
def test_every_activation_of_a_network_changes(name):
    """SYS-129, SYS-130, SYS-131, SYS-132, SYS-133, SYS-199, ERR-023."""
    model = find_model("resnet18").build(3)
    before = sum(isinstance(layer, nn.ReLU) for layer in model.modules())
    assert change_activations(model, name) > 0
    bends = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.SiLU, nn.GELU, nn.Tanh, nn.Sigmoid)
    kinds = {type(layer) for layer in model.modules() if isinstance(layer, bends)}
    assert len(kinds) == 1
    assert before == 9
    found = model.backbone(torch.rand(1, 3, 64, 64))
    sum(feature.sum() for feature in found.values()).backward()
    assert all(weight.grad is not None for weight in model.backbone.parameters())


def test_gates_stay_what_they_are():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Tanh(), nn.Sigmoid(), nn.Hardsigmoid())
    assert change_activations(model, "gelu") == 1
    assert [type(layer) for layer in model] == [nn.Conv2d, nn.GELU, nn.Sigmoid, nn.Hardsigmoid]


def test_what_has_no_activation_is_told():
    with pytest.raises(ConfigError, match="has no activation"):
        change_activations(nn.Sequential(nn.Linear(2, 2)), "relu")
    with pytest.raises(ConfigError, match="Did you mean 'relu'"):
        change_activations(nn.Sequential(nn.ReLU()), "rely")


@pytest.mark.parametrize("name", [name for name in NORMS if name != "none"])
def test_norms_are_made(name):
    model = find_model("resnet18").build(2, norm=norm_named(name)).double().eval()
    of_batches = name in ("batch", "sync_batch")
    kind = nn.BatchNorm2d if of_batches else nn.GroupNorm
    assert sum(isinstance(layer, kind) for layer in model.modules()) == 20
    if not of_batches:  # each image by itself, whatever the mode and the batch
        x = torch.rand(3, 3, 64, 64, dtype=torch.float64)
        alone = model.backbone(x[:1])["c5"]
        model.train()
        torch.testing.assert_close(model.backbone(x)["c5"][:1], alone)


def test_no_norm_leaves_the_convolutions_alone():
    """The network without batch norm that comparisons hold beside the one with it (Q-041)."""
    model = find_model("cifar_plain20").build(2, norm=norm_named("none"))
    assert not any(isinstance(layer, nn.BatchNorm2d | nn.GroupNorm) for layer in model.modules())
    assert model.backbone(torch.rand(1, 3, 32, 32))["c2"].shape == (1, 64, 8, 8)


def test_group_norm_divides_any_number_of_channels():
    assert norm_named("group")(48).num_groups == 16
    assert norm_named("group")(7).num_groups == 1
    assert norm_named("instance")(48).num_groups == 48


@pytest.mark.parametrize("name", INITS)
def test_weights_are_drawn_with_the_spread_of_the_paper(name):
    """SYS-203, SYS-204."""
    layer = nn.Conv2d(64, 128, 3)
    model = nn.Sequential(layer, nn.ReLU(), nn.Linear(5, 5))
    nn.init.zeros_(model[2].weight)
    bias = layer.bias.detach().clone()
    torch.manual_seed(0)
    assert draw_weights(model, name) == 1  # what begins at zero stays there
    fan_in, fan_out = 64 * 9, 128 * 9
    spread = {
        "kaiming": np.sqrt(2 / fan_in),
        "xavier": np.sqrt(2 / (fan_in + fan_out)),
        "orthogonal": np.sqrt(2 / fan_in),
    }
    assert float(layer.weight.detach().std()) == pytest.approx(spread[name], rel=0.03)
    assert torch.equal(layer.bias, bias)
    assert not model[2].weight.any()
    if name == "orthogonal":
        rows = layer.weight.detach().reshape(128, -1)
        torch.testing.assert_close(rows @ rows.T, 2 * torch.eye(128), atol=1e-4, rtol=0)
