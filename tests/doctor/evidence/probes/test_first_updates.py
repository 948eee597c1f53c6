"""The first steps of the user's optimizer (M9, M38, M39, M40)."""

import pytest
import torch
from torch import nn, optim
from torch.nn import functional

from snellen.doctor.evidence.probes.first_updates import first_updates, planned_rates
from snellen.doctor.examining import subject_of


def line() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 3)


def test_ratio_is_that_of_a_step_by_hand() -> None:
    model, batch = line(), (torch.randn(8, 4), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]))
    updates = first_updates(
        subject_of(model, batch, functional.cross_entropy, optim.SGD(model.parameters(), lr=0.3, weight_decay=0.2))
    )
    functional.cross_entropy(model(batch[0]), batch[1]).backward()
    with torch.no_grad():
        step = 0.3 * (model.weight.grad + 0.2 * model.weight)
        pull = 0.2 * torch.cat([model.weight.flatten(), model.bias]).norm()
        gradient = torch.cat([model.weight.grad.flatten(), model.bias.grad]).norm()
    assert updates.ratios[0] == pytest.approx(float(step.norm() / model.weight.detach().norm()), rel=1e-5)
    assert updates.decay == pytest.approx(float(pull / gradient), rel=1e-5)
    assert len(updates.losses) == 6
    assert updates.gain > 0


def test_decoupled_decay_is_told_from_the_rest_of_the_step() -> None:
    model, batch = line(), (torch.randn(8, 4), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]))
    shares = []
    for decay in (0.0, 1.0):
        optimizer = optim.AdamW(model.parameters(), lr=0.01, weight_decay=decay)
        shares.append(first_updates(subject_of(model, batch, functional.cross_entropy, optimizer)).decay)
    assert shares[0] == pytest.approx(0.0, abs=1e-5)
    # Adam's first step is the rate for every weight, so the share is |w| / sqrt(12).
    assert shares[1] == pytest.approx(float(model.weight.detach().norm()) / 12**0.5, rel=1e-3)


def test_rate_of_a_warm_up_is_its_peak() -> None:
    optimizer = optim.SGD(line().parameters(), lr=0.1)
    optim.lr_scheduler.LambdaLR(optimizer, lambda step: (step + 1) / 100)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.001)
    assert planned_rates(optimizer) == (0.1,)


def test_dropout_does_not_hide_the_course_of_the_loss() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.9), nn.Linear(64, 3))
    batch = (torch.randn(8, 4), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]))
    optimizer = optim.SGD(model.parameters(), lr=1e-9)
    updates = first_updates(subject_of(model, batch, functional.cross_entropy, optimizer))
    assert updates.gain == pytest.approx(0.0, abs=1e-5)
    assert updates.drift == pytest.approx(0.0, abs=1e-5)
