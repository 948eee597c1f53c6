"""Watching a loop: what is seen is what happens, and nothing is changed (T1; DX-006)."""

import logging
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from snellen.doctor import Setup, judged, read_trace, watch
from snellen.doctor.watching import HappeningKind
from snellen.errors import InputError


class Net(nn.Module):
    """Convolution, norm, dropout and a linear layer; ``boom`` makes its output infinite from some call on."""

    def __init__(self, boom: int = 10**9) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.bn = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.3)
        self.scale = Scale(boom)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.scale(self.drop(self.relu(self.bn(self.conv(x))).mean((2, 3)))))


class Scale(nn.Module):
    def __init__(self, boom: int) -> None:
        super().__init__()
        self.calls, self.boom = 0, boom

    def forward(self, x):
        self.calls += self.training
        return x / 0.0 if self.calls >= self.boom else x


def batches(count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    made = torch.Generator().manual_seed(3)
    return [
        (torch.randn(8, 3, 12, 12, generator=made), torch.randint(0, 4, (8,), generator=made)) for _ in range(count)
    ]


def trained(make, steps: int, *, watched: bool, **options) -> tuple[nn.Module, torch.optim.Optimizer, object]:
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state that a loop may use
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    doctor = watch(model, optimizer, criterion=criterion, **options) if watched else None
    if doctor is not None:
        doctor.__enter__()
    for images, labels in batches(steps):
        loss = criterion(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if doctor is not None:
        doctor.__exit__(None, None, None)
    return model, optimizer, doctor


@pytest.mark.parametrize(
    "make",
    [Net, lambda: torchvision.models.resnet18(num_classes=4), lambda: torchvision.models.mobilenet_v2(num_classes=4)],
    ids=["small", "resnet18", "mobilenet_v2"],
)
def test_a_run_is_the_same_bits_with_and_without(make):
    plain, plain_optimizer, _ = trained(make, 6, watched=False)
    world = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    seen, seen_optimizer, doctor = trained(make, 6, watched=True, every=2)
    assert torch.equal(world[0], torch.get_rng_state())
    assert (world[1], world[2]) == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    for name, value in plain.state_dict().items():
        assert torch.equal(value, seen.state_dict()[name]), name
    for one, other in zip(
        plain_optimizer.state_dict()["state"].values(), seen_optimizer.state_dict()["state"].values(), strict=True
    ):
        assert torch.equal(one["momentum_buffer"], other["momentum_buffer"])
    assert not seen._forward_hooks
    assert not seen._forward_pre_hooks
    assert all(not module._forward_hooks for module in seen.modules())
    assert len(doctor.trace.steps) == 6


def test_figures_are_those_of_the_training():
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(
        [{"params": list(model.conv.parameters())}, {"params": list(model.head.parameters()), "lr": 0.5}], lr=0.1
    )
    losses, gradients, sizes, updates, cosines = [], [], [], [], []
    former = None
    with watch(model, optimizer, every=1, planned_steps=4) as doctor:
        for images, labels in batches(4):
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            whole = torch.cat([p.grad.flatten() for group in optimizer.param_groups for p in group["params"]])
            gradients.append([float(p.grad.norm()) for group in optimizer.param_groups for p in group["params"]])
            sizes.append(float(model.conv.weight.detach().norm()))
            if former is not None:
                cosines.append(float(nn.functional.cosine_similarity(former, whole, dim=0)))
            former, old = whole.clone(), model.conv.weight.detach().clone()
            optimizer.step()
            updates.append(float((model.conv.weight.detach() - old).norm()))
            losses.append(float(loss.detach()))
            doctor.observe(loss)
        doctor.validated(accuracy=0.5)
    trace = doctor.trace
    assert trace.steps.tolist() == trace.sampled.tolist() == [1, 2, 3, 4]
    assert trace.planned_steps == 4
    assert trace.loss == pytest.approx(losses)
    assert trace.gradient == pytest.approx(np.array(gradients), rel=1e-5)
    assert trace.weight[:, 0] == pytest.approx(sizes)
    assert trace.update[:, 0] == pytest.approx(updates, rel=1e-4)
    assert trace.agreement[1:] == pytest.approx(cosines, rel=1e-4, abs=1e-5)
    assert trace.rates.tolist() == pytest.approx(np.tile([0.1, 0.5], (4, 1)))
    assert [column.name for column in trace.parameters] == ["conv.weight", "conv.bias", "head.weight", "head.bias"]
    assert [column.group for column in trace.parameters] == [0, 0, 1, 1]
    assert trace.named.sum(1).tolist() == [8, 8, 8, 8]
    assert trace.images.tolist() == [8, 8, 8, 8]
    assert (trace.step_s > 0).all()
    assert (trace.memory > 0).all()
    assert [(row.step, row.scores) for row in trace.validations] == [(4, {"accuracy": 0.5})]


def test_layers_are_seen_as_they_are():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 10), nn.Sigmoid(), nn.Linear(10, 2))
    with torch.no_grad():
        model[0].bias[:4] = -100.0  # these four are dead
        model[2].weight *= 100.0  # and these saturate
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    x = torch.randn(32, 6)
    with watch(model, optimizer, every=1) as doctor:
        for _ in range(4):
            model(x).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    trace = doctor.trace
    assert [(column.name, column.role) for column in trace.layers] == [
        ("0", "weights"), ("1", "activation"), ("2", "weights"), ("3", "activation"), ("4", "weights")
    ]  # fmt: skip
    with torch.no_grad():
        hidden = model[1](model[0](x))
        squashed = model[3](model[2](hidden))
        given = model[4](squashed)
    assert trace.rms[-1, 1] == pytest.approx(float(hidden.square().mean().sqrt()), rel=1e-5)
    assert trace.largest[-1, 4] == pytest.approx(float(given.abs().max()), rel=1e-5)
    assert trace.zeros[-1, 1] == pytest.approx(float((hidden == 0).float().mean()))
    assert trace.dead[:, 2].tolist() == pytest.approx([0.0, 0.0, 0.4, 0.4])  # from the third sample on
    assert trace.saturated[-1, 3] == pytest.approx(float(((squashed < 0.05) | (squashed > 0.95)).float().mean()))
    assert np.isnan(trace.saturated[-1, 1])


def test_the_layer_that_makes_a_value_infinite_is_named(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, "snellen.watch")
    _, _, doctor = trained(lambda: Net(boom=3), 5, watched=True)
    first = doctor.trace.happenings[0]
    assert (first.step, first.kind, first.origin) == (3, HappeningKind.LOSS, "scale (Scale)")
    assert "scale (Scale)" in caplog.text
    assert "T1" in caplog.text


def test_bad_images_and_bad_losses_are_told_apart():
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, on_finding=lambda *_: None) as doctor:
        output = model(torch.full((2, 3), float("nan")))
        doctor.observe(output.sum())
        optimizer.step()
    assert doctor.trace.happenings[0].origin == "input"
    with watch(model, optimizer, on_finding=lambda *_: None) as doctor:
        loss = torch.log(model(torch.ones(2, 3)).sum() * 0)
        doctor.observe(loss)
        optimizer.step()
    assert (doctor.trace.happenings[0].kind, doctor.trace.happenings[0].origin) == (HappeningKind.LOSS, "loss")


def test_a_gradient_that_is_not_finite_is_named():
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x):
            return self.last((self.first(x) * 0).abs().sqrt())  # sqrt has no gradient at 0

    model = Root()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, on_finding=lambda *_: None) as doctor:
        loss = model(torch.ones(2, 3)).sum()
        doctor.observe(loss)
        loss.backward()
        optimizer.step()
    (happening,) = doctor.trace.happenings
    assert (happening.kind, happening.origin) == (HappeningKind.GRADIENT, "first.bias")


def test_losses_that_a_model_returns_are_found():
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, images):
            out = self.layer(torch.stack(images))
            return {"classes": out[:, 0].square().mean(), "boxes": out[:, 1].square().mean()}

    model = Detector()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as doctor:
        losses = model([torch.ones(3), torch.zeros(3)])
        sum(losses.values()).backward()
        optimizer.step()
    trace = doctor.trace
    assert list(trace.losses) == ["classes", "boxes"]
    assert float(trace.loss[0]) == pytest.approx(float(sum(losses.values()).detach()), rel=1e-5)
    assert trace.images.tolist() == [2]


def test_accumulated_batches_and_evaluations_between_are_one_step():
    model, criterion = Net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, criterion=criterion) as doctor:
        for images, labels in batches(2):
            criterion(model(images), labels).backward()
        model.eval()
        with torch.no_grad():
            model(torch.randn(50, 3, 12, 12))
        model.train()
        optimizer.step()
    assert doctor.trace.steps.tolist() == [1]
    assert doctor.trace.images.tolist() == [16]


def test_a_trace_is_kept_and_gone_on_with(tmp_path: Path):
    _, _, doctor = trained(Net, 4, watched=True, folder=tmp_path, every=1)
    kept = read_trace(tmp_path)
    assert kept.steps.tolist() == [1, 2, 3, 4]
    assert np.array_equal(kept.gradient, doctor.trace.gradient, equal_nan=True)
    with (tmp_path / "trace.msgpack").open("ab") as file:
        file.write(b"\x00\x00\x01\x00half a record")
    assert read_trace(tmp_path).steps.tolist() == [1, 2, 3, 4]
    trained(Net, 2, watched=True, folder=tmp_path, every=1)
    assert read_trace(tmp_path).steps.tolist() == [1, 2, 3, 4, 5, 6]


def test_what_cannot_be_read_is_told(tmp_path: Path):
    with pytest.raises(InputError, match="No such file"):
        read_trace(tmp_path)
    (tmp_path / "trace.msgpack").write_bytes(b"")
    with pytest.raises(InputError, match="no whole record"):
        read_trace(tmp_path)
    (tmp_path / "trace.msgpack").write_bytes(b"\x00\x00\x00\x02{}")
    with pytest.raises(InputError, match="no trace that can be read"):
        read_trace(tmp_path)


def test_wrong_arguments_are_told():
    model = nn.Linear(2, 2)
    with pytest.raises(InputError, match="expected an optimizer"):
        watch(model, [])
    with pytest.raises(InputError, match="at least 1"):
        watch(model, torch.optim.SGD(model.parameters(), lr=0.1), every=0)


def test_a_training_that_goes_otherwise_than_planned_is_told():
    """T14: the plan says cosine, and the loop forgets the scheduler."""
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    plan = Setup(lr=0.05, steps=60, options={"schedule": "cosine"})
    with watch(model, optimizer, planned_steps=60, setup=plan, on_finding=lambda *_: None) as doctor:
        for images, labels in batches(60):
            loss = nn.functional.cross_entropy(model(images.flatten(1)[:, :6]), labels % 3)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            doctor.observe(loss)
    assert ("T14", "constant") in [(finding.code, finding.message) for finding in doctor.diagnosis.all_findings]
    assert "T14" in [finding.code for finding in judged(doctor.trace).all_findings]  # the trace knows the plan
    unplanned = replace(doctor.trace, plan=None)
    assert "T14" not in [finding.code for finding in judged(unplanned).all_findings]
