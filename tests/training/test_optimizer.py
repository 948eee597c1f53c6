"""Parameter groups, and fused optimizers against torch's plain loop."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW
from torchvision.models import resnet18

from snellen.errors import ConfigError
from snellen.training import TrainSettings, make_optimizer, parameter_groups


def test_groups_of_a_real_network():
    model = resnet18()
    decayed, spared = parameter_groups(model, weight_decay=0.1)
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert {id(p) for p in decayed["params"]} == {id(p) for p in weights}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(spared["params"]) == len(list(model.parameters()))


def test_norms_and_biases_are_known_whatever_their_shape():
    model = nn.ModuleDict({"norm": nn.LayerNorm((3, 4)), "fc": nn.Linear(2, 2)})
    model.register_parameter("bias", nn.Parameter(torch.zeros(5, 5)))
    decayed, spared = parameter_groups(model, weight_decay=0.1)
    assert [id(p) for p in decayed["params"]] == [id(model["fc"].weight)]
    assert len(spared["params"]) == 4


def test_frozen_parameters_are_left_out():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    assert sum(len(group["params"]) for group in parameter_groups(model, weight_decay=0.0)) == 2
    model.requires_grad_(False)
    with pytest.raises(ConfigError, match="Sequential has none"):
        parameter_groups(model, weight_decay=0.0)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_equals_torch_without_tricks(name, channels_last):
    torch.manual_seed(0)
    # no bias before a norm: its gradient is rounding noise, which Adam would blow up
    first = nn.Conv2d(3, 4, 3, bias=False)
    model = nn.Sequential(first, nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 2))
    if channels_last:
        model.to(memory_format=torch.channels_last)
    plain = copy.deepcopy(model)
    ours = make_optimizer(model, TrainSettings(epochs=1, lr=0.1, optimizer=name, weight_decay=0.01))
    kinds = {
        "sgd": lambda groups: SGD(groups, lr=0.1, momentum=0.9, foreach=False, fused=False),
        "adamw": lambda groups: AdamW(groups, lr=0.1, foreach=False, fused=False),
    }
    theirs = kinds[name](parameter_groups(plain, weight_decay=0.01))
    for step in range(5):
        images = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(step))
        for network, optimizer in ((model, ours), (plain, theirs)):
            optimizer.zero_grad()
            network(images).square().mean().backward()
            optimizer.step()
    for mine, reference in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-5, atol=1e-6)
