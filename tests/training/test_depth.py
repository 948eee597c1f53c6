"""Parts that learn at rates of their own, from their epoch on, exactly as a plain loop would let them (SYS-193)."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim import SGD, Adam

from snellen.errors import ConfigError
from snellen.training import (
    CheckpointStore,
    DepthGroup,
    StepDone,
    TrainSettings,
    TrainState,
    fit,
    make_optimizer,
    train,
)
from snellen.training.depth import LearningParts, group_of_parameters

HEAD = DepthGroup(name="head", parts=("",))
PLAN = (DepthGroup(name="stem", parts=("conv", "norm"), factor=0.25, from_epoch=2), HEAD)


def test_the_longest_path_decides():
    model = nn.ModuleDict({"a": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "ab": nn.Linear(2, 2)})
    whole, second = DepthGroup(name="whole", parts=("a",)), DepthGroup(name="second", parts=("a.1",))
    found = {name: group.name for name, group in group_of_parameters(model, (HEAD, whole, second)).items()}
    assert found["a.0.weight"] == "whole"
    assert found["a.1.bias"] == "second"
    assert found["ab.weight"] == "head"
    with pytest.raises(ConfigError, match=r"'ab\.weight' is in none of whole"):
        group_of_parameters(model, (whole,))


def test_frozen_parts_keep_weights_and_statistics(workshop):
    model = workshop.make_model()
    before = copy.deepcopy(model.state_dict())
    plan = (DepthGroup(name="stem", parts=("conv", "norm"), from_epoch=None), HEAD)
    fit(model, workshop.TinySource(), workshop.settings(depth=plan, weight_decay=0.1, l1=0.01, epochs=1))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) == (not name.startswith("head")), name
    assert all(parameter.requires_grad for parameter in model.parameters())  # given back


def test_norms_that_shall_keep_their_statistics_learn_all_the_same(workshop):
    model = workshop.make_model()
    before = copy.deepcopy(model.state_dict())
    plan = (DepthGroup(name="all", parts=("",), fixed_norms=True),)
    fit(model, workshop.TinySource(), workshop.settings(depth=plan, epochs=1))
    assert torch.equal(model.norm.running_mean, before["norm.running_mean"])
    assert not torch.equal(model.norm.weight, before["norm.weight"])


def plain(workshop, make, epochs: int, **options):
    """A loop that says in torch's words what the plan says; the stem joins in epoch 2 with a fresh optimizer state."""
    model, source = workshop.make_model(**options), workshop.TinySource()
    stem = [*model.conv.parameters(), *model.norm.parameters()]
    head = make(list(model.head.parameters()), 0.05)
    late = make(stem, 0.05 * 0.25)
    for epoch in range(epochs):
        model.train()
        if epoch < 2:
            model.norm.eval()
        for batch in source.epoch(epoch):
            model.zero_grad()
            functional.cross_entropy(model(batch.images), batch.targets.probs).backward()
            head.step()
            if epoch >= 2:
                late.step()
    return model


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("sgd", lambda parameters, lr: SGD(parameters, lr=lr, momentum=0.9)),
        ("adam", lambda parameters, lr: Adam(parameters, lr=lr)),
    ],
)
def test_gradual_unfreezing_equals_a_plain_loop(workshop, name, make):
    """Neither momentum nor Adam's moments may gather while a part waits; its bias correction counts its own steps."""
    options = {"dropout": 0.0, "norm": name == "sgd"}  # Adam would blow up the noise of a bias before a norm
    model = workshop.make_model(**options)
    settings = TrainSettings(epochs=4, lr=0.05, optimizer=name, weight_decay=0.0, schedule="constant", depth=PLAN)
    fit(model, workshop.TinySource(), settings)
    for mine, reference in zip(model.parameters(), plain(workshop, make, 4, **options).parameters(), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-6)


def test_groups_do_not_change_when_a_part_begins_to_learn(workshop):
    model = workshop.make_model()
    state = TrainState.fresh(model, workshop.settings(depth=PLAN))
    first = [[id(p) for p in group["params"]] for group in state.optimizer.param_groups]
    assert not model.conv.weight.requires_grad
    state.progress.epoch = 2
    assert state.enter_epoch(workshop.settings(depth=PLAN))
    assert model.conv.weight.requires_grad
    assert first == [[id(p) for p in group["params"]] for group in state.optimizer.param_groups]
    assert {group["factor"] for group in state.optimizer.param_groups} == {0.25, 1.0}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_resumed_before_and_after_the_boundary(workshop, tmp_path, optimizer):
    changes = {"depth": PLAN, "optimizer": optimizer, "l1": 1e-4}
    _, expected = workshop.run(tmp_path / "whole", **changes)
    for after in (2, 5, 6, 7, 10):  # 3 steps an epoch: the stem joins at step 7
        store = CheckpointStore(tmp_path / str(after))
        model, settings = workshop.make_model(), workshop.settings(**{**changes, "checkpoint_steps": 1})
        events = train(model, workshop.TinySource(), TrainState.fresh(model, settings), settings, store=store)
        for event in events:
            if isinstance(event, StepDone) and event.step == after + 1:
                events.close()
                break
        _, weights = workshop.run(tmp_path / str(after), **changes)
        for part in ("model", "average"):
            for name, value in weights[part].items():
                assert torch.equal(value, expected[part][name]), (after, part, name)


def test_parts_that_the_model_froze_itself_stay_frozen(workshop):
    model = workshop.make_model()
    model.conv.requires_grad_(False)
    parts = LearningParts(model, PLAN)
    parts.enter(3)
    assert not model.conv.weight.requires_grad
    parts.leave()
    assert not model.conv.weight.requires_grad


def test_what_never_learns_is_not_in_the_optimizer(workshop):
    model = workshop.make_model()
    plan = (DepthGroup(name="stem", parts=("conv", "norm"), from_epoch=None), HEAD)
    optimizer = make_optimizer(model, workshop.settings(depth=plan))
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.head.parameters()}


@pytest.mark.parametrize(("change", "words"), [({"factor": 0.0}, "share of the rate"), ({"from_epoch": -1}, "epoch 0")])
def test_impossible_groups_are_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        DepthGroup(name="x", parts=("",), **change)
