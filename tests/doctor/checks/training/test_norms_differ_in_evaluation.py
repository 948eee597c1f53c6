"""T11: running statistics of norms are far from those of the batches (DX-055)."""

import numpy as np
import pytest
import torch
from tests.doctor.checks.training.traces import falling, flat, made
from torch import nn

from snellen.doctor import Level, Status, watch

OVERFIT = [(100, {"loss": 2.2}), (200, {"loss": 2.0}), (300, {"loss": 1.9}), (400, {"loss": 1.9})]
FINE = [(100, {"loss": 0.8}), (200, {"loss": 0.4}), (300, {"loss": 0.25}), (400, {"loss": 0.22})]


@pytest.mark.parametrize(
    ("gap", "validations", "expected"),
    [
        ([0.1, 0.9, 0.5, 0.0], OVERFIT, ["WARNING known"]),
        ([0.1, 0.9, 0.5, 0.0], FINE, ["INFO known"]),
        ([0.1, 0.9, 0.5, 0.0], (), ["WARNING default"]),
        ([0.15, 0.1, 0.3, 0.0], OVERFIT, []),
    ],
    ids=["bad held out", "good held out", "nothing held out", "small gap"],
)
def test_gaps_are_told_by_what_came_of_them(found, gap, validations, expected):
    assert found("T11", made(falling(), gap=gap, validations=validations)) == expected


def test_a_training_that_does_not_learn_has_other_faults(found):
    assert found("T11", made(flat(), gap=0.9, validations=OVERFIT)) == []


@pytest.mark.parametrize(("is_over", "status"), [(False, Status.NOT_CHECKABLE), (True, Status.FOUND)])
def test_statistics_need_time_to_leave_what_they_began_with(judged, is_over, status):
    assert judged("T11", made(falling(90), gap=0.9, is_over=is_over)).status == status


def test_nets_without_batch_norms_cannot_be_judged(judged):
    assert judged("T11", made(falling())).status == Status.NOT_CHECKABLE


def test_what_is_said(said, judged):
    trace = made(falling(), gap=[0.1, 0.9, 0.5, 0.0], validations=OVERFIT)
    assert said("T11", trace) == (
        "2 of 4 batch norms give outputs up to 0.9 spreads away in evaluation (most in 2): the training loss is "
        "0.21, on held-out data it is 1.9."
    )
    (finding,) = judged("T11", trace).findings
    assert [place.name for place in finding.places] == ["2", "4"]


class Normed(nn.Module):
    def __init__(self, momentum: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 16), nn.BatchNorm1d(16, momentum=momentum), nn.ReLU(), nn.Linear(16, 2)
        )

    def forward(self, x):
        return self.layers(x)


def trained(momentum: float):
    torch.manual_seed(0)
    model = Normed(momentum)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = 5 * torch.randn(64, 6) + 3
    y = (x[:, 0] > 3).long()
    with watch(model, optimizer, every=5, on_finding=lambda *_: None) as doctor:
        for step in range(80):
            rows = torch.arange(16) + 16 * (step % 4)
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            doctor.observe(loss)
    return doctor, model, x


@pytest.mark.parametrize(("momentum", "is_found"), [(0.1, False), (0.0, True), (0.001, True)])
def test_statistics_that_lag_behind_are_found_in_a_real_loop(momentum, is_found):
    doctor, _, _ = trained(momentum)
    levels = [finding.level for finding in doctor.diagnosis.all_findings if finding.code == "T11"]
    assert levels == ([Level.WARNING] if is_found else [])


def test_the_gap_is_that_of_the_outputs():
    """The formula against the outputs of the norm in both modes, for one channel at a time."""
    doctor, model, x = trained(0.0)  # statistics stay at 0 and 1
    norm, given = model.layers[1], model.layers[0](x[48:64]).detach()
    with torch.no_grad():
        for parameter, value in ((norm.weight, 1.0), (norm.bias, 0.0)):
            parameter.fill_(value)
        apart = (norm.train()(given) - norm.eval()(given)).square().mean(0).sqrt()
    before = float(np.nanmedian(doctor.trace.gap[:, 1]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with watch(model.train(), optimizer, every=1) as again:
        model(x[48:64]).sum().backward()
        optimizer.step()
    assert before > 0.4
    assert float(again.trace.gap[0, 1]) == pytest.approx(float(apart.clamp(max=10).mean()), rel=1e-4)
    assert np.isnan(again.trace.gap[0, [0, 2, 3]]).all()
