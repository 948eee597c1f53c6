"""T30: images that are learned from are answered worse than held-out ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.doctor.checks.training.traces import falling, flat, made
from torch import nn

import snellen
from snellen.doctor import Status


@pytest.mark.parametrize(("loss", "held_out", "expected"), [
    (falling(end=1.0), 0.6, ["INFO default"]),
    (falling(end=1.0), 1.3, []),
    (falling(end=1.0), 0.98, []),  # within 3 %
    (falling(end=1.0, noise=0.5), 0.95, []),  # within the scatter
    (falling(end=0.2, pace=1.0), 1.0, []),  # it still falls: the mean of the last steps lags behind
    (flat(), 2.31, []),
])  # fmt: skip
def test_losses(found, loss, held_out, expected):
    assert found("T30", made(loss, validations=[(200, {"loss": 0.1}), (len(loss), {"loss": held_out})])) == expected


def test_what_a_plan_says_is_no_riddle(found):
    trace = made(falling(end=1.0), validations=[(400, {"loss": 0.6})])
    for plan in (
        {"augment": 0.5},
        {"sampler": "class_balanced"},
        {"options": {"mixup": 0.2}},
        {"options": {"model_options": "dropout"}},
    ):
        assert found("T30", replace(trace, plan=plan)) == []
    assert found("T30", replace(trace, plan={"augment": 0.0, "sampler": "shuffled"})) == ["INFO default"]


def test_without_a_held_out_loss(judged):
    for scores in ({"accuracy": 0.4}, {"mae": 0.4}):
        trace = made(falling(end=1.0), validations=[(400, scores)])
        assert judged("T30", trace).status == Status.NOT_CHECKABLE


def test_wrong_labels_in_a_loop(tmp_path):
    """DX-121: half of the training labels drawn anew; the held-out ones are right."""
    torch.manual_seed(0)
    x = torch.randn(1200, 8)
    y = (x @ torch.randn(8, 4)).argmax(1)
    held_x, held_y, x, y = x[1000:], y[1000:], x[:1000], y[:1000]
    noisy = torch.where(torch.rand(1000) < 0.5, torch.randint(0, 4, (1000,)), y)
    told = {}
    for name, labels in {"right": y, "wrong": noisy}.items():
        net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        optimizer, criterion = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), nn.CrossEntropyLoss()
        with snellen.watch(
            net, optimizer, criterion=criterion, folder=tmp_path / name, on_finding=lambda *_: None
        ) as doctor:
            for _ in range(300):
                rows = torch.from_numpy(np.random.default_rng().integers(0, 1000, 32))
                loss = criterion(net(x[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                doctor.validated(loss=nn.functional.cross_entropy(net(held_x), held_y))
        told[name] = {finding.code for finding in doctor.diagnosis.all_findings}
    assert "T30" in told["wrong"]
    assert "T30" not in told["right"]
