"""T29: layers whose answers no longer depend on the image."""

import pytest
import torch
from tests.doctor.checks.training.traces import falling, flat, made
from torch import nn

from snellen.doctor import Status, watch


def falls_to(value):
    return lambda step: [1.0, 1.0 if step < 20 else value, 1.0, 0.5]


@pytest.mark.parametrize(("loss", "left", "expected"), [
    (flat(), 1e-3, ["WARNING default"]),
    (falling(), 1e-3, ["INFO default"]),
    (flat(), 0.03, []),
    (flat(), 1.0, []),
])  # fmt: skip
def test_spreads(found, loss, left, expected):
    assert found("T29", made(loss, varied=falls_to(left))) == expected


def test_a_layer_that_never_told_images_apart_is_not_silenced(found):
    """A branch on constants, such as positions, is the same for every image from the first step on."""
    assert found("T29", made(flat(), varied=lambda _: [1.0, 1e-6, 1.0, 1.0])) == []


def test_single_images_tell_nothing(judged):
    assert judged("T29", made(flat(), varied=lambda _: float("nan"))).status == Status.NOT_CHECKABLE


def test_what_is_said(said, judged):
    trace = made(flat(), varied=falls_to(1e-3))
    assert said("T29", trace).startswith("What 2 gives out is the same for every image: 0.1 % of the first steps")
    assert judged("T29", trace).findings[0].treatment.settings == {"lr": 0.01}


@pytest.mark.parametrize(("lr", "names"), [(1e-3, []), (0.03, ["4"])])
def test_a_rate_that_silences_features_is_found_in_a_real_loop(lr, names):
    """A sum of squares over many answers that begin with noise falls fastest when the features fall silent."""
    torch.manual_seed(0)
    wide = (nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
    model = nn.Sequential(*wide, nn.Linear(64, 400))
    nn.init.normal_(model[-1].weight, std=0.5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.05)
    draws = torch.Generator().manual_seed(1)
    with watch(model, optimizer, every=5, on_finding=lambda *_: None) as doctor:
        for _ in range(100):
            images = torch.randn(16, 16, generator=draws)
            wanted = 0.5 + 0.1 * torch.randn(16, 400, generator=draws)
            loss = (model(images) - wanted).square().sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            doctor.observe(loss)
    found = [finding for finding in doctor.diagnosis.all_findings if finding.code == "T29"]
    assert [place.name for finding in found for place in finding.places[:1]] == names
