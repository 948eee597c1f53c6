"""T28: units that are copies of one another."""

import pytest
import torch
from tests.doctor.checks.training.traces import falling, flat, made
from torch import nn

from snellen.doctor import Status, watch


@pytest.mark.parametrize(("loss", "apart", "expected"), [
    (flat(), [0.5, 1e-8, 0.3, 0.2], ["WARNING default"]),
    (falling(end=1.5), [0.5, 1e-8, 0.3, 0.2], ["WARNING default"]),
    (falling(), [0.5, 1e-8, 0.3, 0.2], ["INFO default"]),
    (flat(), [0.5, 1e-3, 0.3, 0.2], []),
])  # fmt: skip
def test_spreads(found, loss, apart, expected):
    assert found("T28", made(loss, apart=apart)) == expected


def test_without_units_nothing_is_said(judged):
    assert judged("T28", made(flat(), apart=float("nan"))).status == Status.NOT_CHECKABLE


def test_what_is_said(said, judged):
    trace = made(flat(), apart=[0.5, 0.0, 1e-7, 0.2])
    assert said("T28", trace).startswith("All units of 2 give out the same (2 of 4 such layers)")
    assert [place.name for place in judged("T28", trace).findings[0].places] == ["2", "4"]


def net(constant: float | None) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip
    for module in model.modules():
        if constant is not None and isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, constant)
            nn.init.zeros_(module.bias)
    return model


@pytest.mark.parametrize(("constant", "layers"), [(None, []), (0.05, ["0"])])
def test_constant_weights_are_found_in_a_real_loop(constant, layers):
    """The second convolution is read by a layer with weights of its own for each unit, which tells its units apart."""
    model = net(constant)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    draws = torch.Generator().manual_seed(1)
    with watch(model, optimizer, every=5, on_finding=lambda *_: None) as doctor:
        for _ in range(40):
            labels = torch.randint(0, 4, (16,), generator=draws)
            images = torch.randn(16, 3, 8, 8, generator=draws) + labels[:, None, None, None]
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            doctor.observe(loss)
    found = [finding for finding in doctor.diagnosis.all_findings if finding.code == "T28"]
    assert [place.name for finding in found for place in finding.places] == layers
