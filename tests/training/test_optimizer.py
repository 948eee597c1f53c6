"""Parameter groups, and fused optimizers against torch's plain loop."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop
from torchvision.models import resnet18

from snellen.errors import ConfigError
from snellen.training import TrainSettings, fit, make_optimizer, parameter_groups
from snellen.training.optimizer import make_second_optimizer, shrink


def test_groups_of_a_real_network():
    """SYS-213, ERR-013: norms and biases are spared."""
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
@pytest.mark.parametrize("name", ["sgd", "nesterov", "rmsprop", "adam", "adamw"])
def test_equals_torch_without_tricks(name, channels_last):
    """SYS-172, SYS-174, SYS-175, SYS-176."""
    torch.manual_seed(0)
    # no bias before a norm: its gradient is rounding noise, which Adam would blow up
    first = nn.Conv2d(3, 4, 3, bias=False)
    model = nn.Sequential(first, nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 2))
    if channels_last:
        model.to(memory_format=torch.channels_last)
    plain = copy.deepcopy(model)
    chosen = {"optimizer": "sgd", "nesterov": True} if name == "nesterov" else {"optimizer": name}
    ours = make_optimizer(model, TrainSettings(epochs=1, lr=0.1, weight_decay=0.01, **chosen))
    kinds = {
        "sgd": lambda groups: SGD(groups, lr=0.1, momentum=0.9, foreach=False, fused=False),
        "nesterov": lambda groups: SGD(groups, lr=0.1, momentum=0.9, nesterov=True, foreach=False, fused=False),
        "rmsprop": lambda groups: RMSprop(groups, lr=0.1, foreach=False),
        "adam": lambda groups: Adam(groups, lr=0.1, foreach=False, fused=False),
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


def test_rmsprop_and_adam_are_what_their_formulas_say():
    """ERR-002: no momentum, no decay in RMSprop. ERR-003: Adam's second moment is that of the gradient."""
    gradients = torch.tensor([0.5, -2.0, 3.0, 0.1])
    found = {}
    for name in ("rmsprop", "adam"):
        layer = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(layer.weight)
        optimizer = make_optimizer(layer, TrainSettings(epochs=1, lr=0.1, optimizer=name, weight_decay=0.0))
        for gradient in gradients:
            layer.weight.grad = gradient.reshape(1, 1)
            optimizer.step()
        found[name] = layer.weight.item()
    square, weight = 0.0, 0.0
    for gradient in gradients.tolist():
        square = 0.99 * square + 0.01 * gradient**2
        weight -= 0.1 * gradient / (square**0.5 + 1e-8)
    assert found["rmsprop"] == pytest.approx(weight, rel=1e-5)
    first, second, weight = 0.0, 0.0, 0.0
    for step, gradient in enumerate(gradients.tolist(), 1):
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        weight -= 0.1 * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)) ** 0.5 + 1e-8)
    assert found["adam"] == pytest.approx(weight, rel=1e-5)


def test_decay_equals_a_penalty_for_sgd_and_not_for_adamw():
    """ERR-012, ERR-179, SYS-210, SYS-211: to SGD decay is half the squared norm, with momentum too; not to AdamW."""
    apart = {}
    for name in ("sgd", "adam", "adamw"):
        torch.manual_seed(0)
        layer = nn.Linear(3, 1, bias=False)
        twin = copy.deepcopy(layer)
        decayed = make_optimizer(layer, TrainSettings(epochs=1, lr=0.01, optimizer=name, weight_decay=0.1))
        plain = make_optimizer(twin, TrainSettings(epochs=1, lr=0.01, optimizer=name, weight_decay=0.0))
        for step in range(50):
            images = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
            for network, optimizer, penalty in ((layer, decayed, 0.0), (twin, plain, 0.1)):
                optimizer.zero_grad()
                loss = (network(images) - 1).square().mean() + penalty / 2 * network.weight.square().sum()
                loss.backward()
                optimizer.step()
        apart[name] = (layer.weight - twin.weight).abs().max().item()
    assert apart["sgd"] < 1e-6
    assert apart["adam"] < 1e-5
    assert apart["adamw"] > 1e-3


def test_l1_ends_where_lasso_ends():
    """SYS-209, ERR-166, SYS-309: the proximal step gives exact zeros, and the optimum of scikit-learn's Lasso."""
    from sklearn.linear_model import Lasso

    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(60, 8, generator=generator)
    truth = torch.tensor([2.0, -1.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0])
    answers = inputs @ truth + 0.1 * torch.randn(60, generator=generator)
    layer = nn.Linear(8, 1, bias=False)
    optimizer = make_optimizer(layer, TrainSettings(epochs=1, lr=0.1, momentum=0.0, weight_decay=0.0, l1=0.2))
    for _ in range(500):
        optimizer.zero_grad()
        (0.5 * (layer(inputs)[:, 0] - answers).square().mean()).backward()
        optimizer.step()
        shrink(optimizer, 0.2)
    expected = Lasso(alpha=0.2, fit_intercept=False, tol=1e-10).fit(inputs.double(), answers.double()).coef_
    assert layer.weight[0].tolist() == pytest.approx(expected.tolist(), abs=1e-4)
    assert (layer.weight[0] == 0).tolist() == (expected == 0).tolist()
    assert (layer.weight == 0).any()


def test_l1_leaves_norms_biases_and_waiting_parts_alone():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Linear(2, 2))
    optimizer = make_optimizer(model, TrainSettings(epochs=1, lr=1.0))
    model[0](torch.ones(1, 2)).sum().backward()
    before = copy.deepcopy(model.state_dict())
    shrink(optimizer, 10.0)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"0.weight"}
    assert (model[0].weight == 0).all()


def test_nothing_is_shrunk_in_a_step_that_is_left_out():
    model = nn.Linear(2, 2)
    optimizer = make_optimizer(model, TrainSettings(epochs=1, lr=1.0))
    model(torch.ones(1, 2)).sum().backward()
    before = model.weight.clone()
    shrink(optimizer, 10.0, keep=torch.tensor(1.0))
    assert torch.equal(model.weight, before)
    shrink(optimizer, 10.0, keep=torch.tensor(0.0))
    assert (model.weight == 0).all()


def test_sgd_takes_over_from_adam(workshop):
    """SYS-177: the same as Adam up to the epoch, and a fresh SGD from there on."""
    from torch.nn import functional

    settings = TrainSettings(
        epochs=4, lr=0.01, optimizer="adam", weight_decay=0.0, schedule="constant", switch_epoch=2, switch_lr=0.1
    )
    model = workshop.make_model(dropout=0.0, norm=False)
    fit(model, workshop.TinySource(), settings)
    twin = workshop.make_model(dropout=0.0, norm=False).train()
    optimizer = Adam(twin.parameters(), lr=0.01)
    for epoch in range(4):
        if epoch == 2:
            optimizer = SGD(twin.parameters(), lr=0.1, momentum=0.9)
        for batch in workshop.TinySource().epoch(epoch):
            optimizer.zero_grad()
            functional.cross_entropy(twin(batch.images), batch.targets.probs).backward()
            optimizer.step()
    for mine, reference in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-6)


def test_second_optimizer_has_the_same_groups():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    settings = TrainSettings(epochs=3, lr=0.01, optimizer="adamw", switch_epoch=1, switch_lr=0.5, nesterov=True)
    first = make_optimizer(model, settings)
    second = make_second_optimizer(first, settings)
    assert isinstance(second, SGD)
    for one, other in zip(first.param_groups, second.param_groups, strict=True):
        assert [id(p) for p in one["params"]] == [id(p) for p in other["params"]]
        assert (other["lr"], other["nesterov"], other["weight_decay"]) == (0.5, True, one["weight_decay"])
