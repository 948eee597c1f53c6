"""Real loops with one fault each: the doctor names it; healthy loops, odd ones among them, are left in peace."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from snellen.doctor import Diagnosis, Level, watch

K = 4
Batches = Callable[[int], Iterator[tuple[Tensor, Tensor]]]


def examples(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return points of four overlapping clouds in 20 dimensions, and which cloud each is of."""
    made = torch.Generator().manual_seed(seed)
    centres = 1.2 * torch.randn(K, 20, generator=torch.Generator().manual_seed(77))
    labels = torch.randint(0, K, (count,), generator=made)
    return centres[labels] + 1.2 * torch.randn(count, 20, generator=made), labels


X, Y = examples(2000, 1)
HELD_OUT = examples(400, 2)


def mlp(activation: Callable[[], nn.Module] = nn.ReLU, depth: int = 2, width: int = 32) -> nn.Sequential:
    sizes = [20, *[width] * depth]
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers, nn.Linear(width, K))


def trained(
    model: nn.Module,
    *,
    steps: int = 300,
    lr: float = 0.1,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
    batch: int = 32,
    data: tuple[Tensor, Tensor] = (X, Y),
    criterion: nn.Module | None = None,
    validate: int = 50,
    wait_s: float = 0.0,
    schedule: Callable[[int], float] | None = None,
    is_shuffled: bool = True,
    planned_steps: int | None = None,
    **options: float,
) -> Diagnosis:
    torch.manual_seed(0)
    criterion = criterion or nn.CrossEntropyLoss()
    stepper = optimizer(model.parameters(), lr=lr, **options)
    x, y = data
    draw = torch.Generator().manual_seed(5)
    with watch(model, stepper, criterion=criterion, every=10, planned_steps=planned_steps or steps) as doctor:
        for step in range(steps):
            if schedule is not None:
                stepper.param_groups[0]["lr"] = lr * schedule(step)
            start = step * batch % (len(x) - batch + 1)
            chosen = torch.randint(0, len(x), (batch,), generator=draw) if is_shuffled else slice(start, start + batch)
            if wait_s:
                time.sleep(wait_s)
            loss = criterion(model(x[chosen]), y[chosen])
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            if (step + 1) % validate == 0:
                model.eval()
                with torch.no_grad():
                    scores = model(HELD_OUT[0])
                doctor.validated(
                    loss=nn.functional.cross_entropy(scores, HELD_OUT[1]),
                    accuracy=(scores.argmax(1) == HELD_OUT[1]).float().mean(),
                )
                model.train()
    return doctor.diagnosis


def said(diagnosis: Diagnosis, level: Level = Level.WARNING) -> list[str]:
    assert not [result.trace for result in diagnosis.results if result.trace]
    return [f"{finding.code} {finding.message}" for finding in diagnosis.findings if finding.level >= level]


def zeroed(model: nn.Sequential) -> nn.Sequential:
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return model


def dead(model: nn.Sequential) -> nn.Sequential:
    nn.init.constant_(model[0].bias, -30.0)
    return model


def huge(model: nn.Sequential) -> nn.Sequential:
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=10.0)
    return model


class Dropping(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Linear(20, 64),
            nn.ReLU(),
            nn.Dropout(0.95),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Dropout(0.95),
            nn.Linear(64, K),
        )


class Log(nn.Module):
    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        return -torch.log(torch.relu(scores.gather(1, labels[:, None]))).mean()


SICK = {
    "rate far too high": (lambda: trained(mlp(nn.Tanh), lr=30.0), {"T10 high", "T3 thrown", "T9 default"}),
    "rate far too low": (lambda: trained(mlp(), lr=1e-6), {"T10 low"}),
    "all zeros": (lambda: trained(zeroed(mlp())), {"T20 zeros"}),
    "deep sigmoids": (lambda: trained(mlp(nn.Sigmoid, 8)), {"T7 default"}),
    "dead units": (lambda: trained(dead(mlp())), {"T8 all"}),
    "saturated": (lambda: trained(huge(mlp(nn.Tanh, 6)), lr=1e-3), {"T9 default", "T27 default"}),
    "not a number": (lambda: trained(mlp(), criterion=Log()), {"T1 loss"}),
    "labels constant": (lambda: trained(mlp(), data=(X, torch.zeros_like(Y))), {"T15 labels"}),
    "labels drawn": (lambda: trained(mlp(), data=(X, Y[torch.randperm(2000)]), lr=0.01), {"T2 chance"}),
    "in order": (lambda: trained(mlp(), data=(X[Y.argsort()], Y.sort()[0]), is_shuffled=False), {"T26 default"}),
    "by heart": (
        lambda: trained(
            mlp(width=128),
            data=(X[:40], torch.where(torch.arange(40) % 2 == 0, Y[:40], Y[40:80])),
            lr=3e-3,
            optimizer=torch.optim.Adam,
            steps=600,
            validate=20,
        ),
        {"T12 default", "T12 score"},
    ),
    "sleeping loader": (lambda: trained(mlp(), steps=60, lr=1.0, wait_s=0.01, validate=100), {"T16 default"}),
    "rate gone": (
        lambda: trained(mlp(), schedule=lambda step: 1.0 if step < 100 else 0.1 ** (step / 20)), {"T14 gone"}
    ),
    "rate zero": (lambda: trained(mlp(), schedule=lambda step: 0.0), {"T14 zero"}),
    "decayed away": (lambda: trained(mlp(), lr=0.1, weight_decay=1.0), {"T24 default"}),
    "dropped": (lambda: trained(Dropping(), lr=0.01), {"T25 apart", "T25 default"}),
    "stopped": (
        lambda: trained(mlp(), lr=0.003, steps=100, validate=10, planned_steps=1000), {"T19 default"}
    ),
}  # fmt: skip
HEALTHY = {
    "plain": lambda: trained(mlp()),
    "adam": lambda: trained(mlp(), lr=3e-3, optimizer=torch.optim.AdamW),
    "momentum": lambda: trained(mlp(), lr=0.03, momentum=0.9),
    "label smoothing": lambda: trained(mlp(), criterion=nn.CrossEntropyLoss(label_smoothing=0.2)),
    "batch norm": lambda: trained(
        nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, K))
    ),
    "warm-up and cosine": lambda: trained(
        mlp(),
        schedule=lambda step: min(step / 30, 1.0) * 0.5 * (1 + torch.cos(torch.tensor(step / 300 * 3.1416)).item()),
    ),
    "cyclic": lambda: trained(mlp(), schedule=lambda step: 0.1 + abs(step % 60 - 30) / 30),
    "batch of four": lambda: trained(mlp(), lr=0.02, batch=4),
    "small rate": lambda: trained(mlp(), lr=1e-2),
    "tanh": lambda: trained(mlp(nn.Tanh)),
    "few steps": lambda: trained(mlp(), steps=25),
}


@pytest.mark.parametrize("name", SICK)
def test_the_fault_is_named_first(name: str) -> None:
    torch.manual_seed(0)
    run, expected = SICK[name]
    found = said(run())
    assert found
    assert found[0] in expected, found


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_loops_are_left_in_peace(name: str) -> None:
    torch.manual_seed(0)
    assert said(HEALTHY[name]()) == []
