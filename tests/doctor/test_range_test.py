"""The learning-rate range test (M36, DX-039, DX-040)."""

import signal
from collections.abc import Iterator
from math import cos, pi

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snellen.doctor.range_test import RangeTest, lr_range, range_test
from snellen.errors import ConfigError, DatasetError


def problem(seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Noisy classes around ten centres: what a linear model can learn, and not all of it."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(10, 64, generator=generator)
    labels = torch.randint(10, (64 * 40,), generator=generator)
    points = centres[labels] * 0.5 + torch.randn(len(labels), 64, generator=generator)
    return [*zip(points.split(64), labels.split(64), strict=True)]


def network(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))


def optimizer_of(kind: str, model: nn.Module) -> torch.optim.Optimizer:
    if kind == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=1e-3)
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def trained_loss(kind: str, rate: float) -> float:
    """Mean of the last fifth of a training with warm-up and cosine."""
    model, batches, steps = network(), problem(), 150
    optimizer, losses = optimizer_of(kind, model), []
    for step in range(steps):
        points, labels = batches[step % len(batches)]
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 8) * 0.5 * (1 + cos(pi * step / steps))
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(points), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses[-steps // 5 :]))


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_suggests_the_best_rate_of_a_whole_training_within_a_factor_of_3(kind: str) -> None:
    """SYS-185, ERR-007: rates are found, not known beforehand."""
    rates = np.geomspace(1e-4, 10, 16)
    best = rates[np.argmin([trained_loss(kind, rate) for rate in rates])]
    model = network()
    test = lr_range(model, problem(), functional.cross_entropy, optimizer_of(kind, model))
    assert test.suggestion is not None
    assert best / 3 <= test.suggestion <= best * 3
    assert test.low is not None
    assert test.high is not None
    assert test.low < test.suggestion < test.high


def snapshot(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[bytes]:
    state = [tensor.detach().numpy().tobytes() for tensor in model.state_dict().values()]
    moments = [
        value.numpy().tobytes() if isinstance(value, Tensor) else repr(value).encode()
        for entry in optimizer.state.values()
        for value in entry.values()
    ]
    rates = [repr({name: value for name, value in group.items() if name != "params"}).encode()
             for group in optimizer.param_groups]  # fmt: skip
    gradients = [b"" if p.grad is None else p.grad.numpy().tobytes() for p in model.parameters()]
    modes = [bytes([module.training]) for module in model.modules()]
    return [*state, *moments, *rates, *gradients, *modes, torch.get_rng_state().numpy().tobytes()]


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_leaves_the_same_bits(kind: str) -> None:
    model, batches = network(), problem()
    optimizer = optimizer_of(kind, model)
    functional.cross_entropy(model(batches[0][0]), batches[0][1]).backward()
    optimizer.step()
    model[1].eval()
    before = snapshot(model, optimizer)
    lr_range(model, batches, functional.cross_entropy, optimizer, steps=20)
    assert snapshot(model, optimizer) == before


def test_groups_keep_the_ratio_of_their_rates() -> None:
    model, seen = network(), []

    class Watched(torch.optim.SGD):
        def step(self, closure: None = None) -> None:
            seen.append([group["lr"] for group in self.param_groups])
            super().step(closure)

    groups = [{"params": model[0].parameters(), "lr": 0.01}, {"params": model[4].parameters(), "lr": 0.1}]
    lr_range(model, problem(), functional.cross_entropy, Watched(groups, lr=0.1), low=1e-3, high=1.0, steps=10)
    assert seen[0] == pytest.approx([1e-4, 1e-3])
    assert all(low == pytest.approx(high / 10) for low, high in seen)


def test_ctrl_c_ends_the_sweep_and_judges_what_there_is() -> None:
    model = network()

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for number, batch in enumerate(problem()):
            if number == 30:
                signal.raise_signal(signal.SIGINT)
            yield batch

    test = lr_range(model, batches(), functional.cross_entropy, optimizer_of("sgd", model))
    assert test.ended == "interrupted"
    assert 28 <= len(test.rates) <= 31


def test_stops_where_the_loss_runs_away() -> None:
    test = range_test(lambda rate: (1.0 - min(rate, 0.1) if rate < 0.3 else 20.0, 1.0))
    assert test.ended == "diverged"
    assert 0.3 < test.rates[-1] < 2.0


def test_a_loss_that_is_not_finite_ends_it() -> None:
    test = range_test(lambda rate: (1.0 if rate < 1e-3 else float("nan"), 1.0))
    assert test.ended == "diverged"
    assert test.rates[-1] < 1e-3
    assert test.suggestion is None


def test_noise_is_no_fall() -> None:
    noise = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        test = range_test(lambda rate: (2.3 + 0.1 * float(noise.normal()), 2.3))
        found += test.suggestion is not None
    assert found <= 4


def test_how_hard_a_batch_is_does_not_count() -> None:
    hardness = np.random.default_rng(0)

    def step(rate: float) -> tuple[float, float]:
        first = 2.3 + 0.5 * float(hardness.normal())
        return first - 0.2 / (1 + (1e-3 / rate) ** 2) + max(0.0, rate - 0.1), first

    test = range_test(step)
    assert test.suggestion == pytest.approx(0.01, rel=4)
    assert test.low == pytest.approx(1e-3, rel=0.5)


def test_says_what_it_needs() -> None:
    model = network()
    with pytest.raises(ConfigError, match="needs the optimizer"):
        lr_range(model, problem(), functional.cross_entropy)
    with pytest.raises(DatasetError, match="at least one batch"):
        lr_range(model, [], functional.cross_entropy, optimizer_of("sgd", model))
    with pytest.raises(ConfigError, match="must rise"):
        lr_range(model, problem(), functional.cross_entropy, optimizer_of("sgd", model), low=1.0, high=0.1)
    with pytest.raises(ConfigError, match="10 steps or more"):
        range_test(lambda rate: (rate, rate), steps=3)


def test_few_batches_are_gone_through_again() -> None:
    model = network()
    test: RangeTest = lr_range(model, problem()[:3], functional.cross_entropy, optimizer_of("sgd", model), steps=40)
    assert len(test.rates) > 10
