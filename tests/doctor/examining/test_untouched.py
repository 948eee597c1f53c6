"""Examining leaves no trace: the same bits and the same objects afterwards, whatever happens inside."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.doctor.examining import untouched
from snellen.errors import InputError


class Counting(nn.Module):
    """Keeps what a forward pass changes in every way in which a module can."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(4, 2)
        self.calls = 0
        self.seen: list[int] = []
        self.memory = torch.zeros(3)
        self.memories = {"last": torch.zeros(2)}
        self.generator = torch.Generator().manual_seed(3)
        self.register_buffer("wide", torch.arange(4.0).expand(5, 4))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.seen.append(len(images))
        self.memory += torch.rand(3, generator=self.generator)
        self.memories["last"].fill_(7.0)
        return self.head(self.dropout(self.norm(self.conv(images)).relu()).mean((2, 3)))


def built() -> tuple[Counting, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, tuple[torch.Tensor, ...]]:
    torch.manual_seed(0)
    model = Counting()
    model.norm.eval()
    model.conv.bias.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.1)
    batch = (torch.rand(6, 3, 8, 8), torch.randint(2, (6,)))
    functional.cross_entropy(model(batch[0]), batch[1]).backward()
    optimizer.step()
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1), batch


def state(model: Counting, optimizer: Any, scheduler: Any, batch: Any) -> dict[str, Any]:
    return deepcopy({
        "weights": {name: (value, value.requires_grad) for name, value in model.state_dict().items()},
        "needs": [p.requires_grad for p in model.parameters()],
        "gradients": [p.grad for p in model.parameters()],
        "modes": [module.training for module in model.modules()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "hooks": [len(module._forward_hooks) + len(module._backward_hooks) for module in model.modules()],
        "plain": (model.calls, model.seen, model.memory, model.memories, model.generator.get_state()),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "batch": batch,
        "random": (random.getstate(), np.random.get_state(), torch.get_rng_state()),  # noqa: NPY002
        "flags": (torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"),
                  torch.are_deterministic_algorithms_enabled(), torch.get_default_dtype(),
                  torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()),
    })  # fmt: skip


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def havoc(model: Counting, optimizer: Any, scheduler: Any, batch: Any) -> None:
    """Change everything that can be changed."""
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)  # noqa: NPY002 - what the kept state belongs to
    model.train()
    for _ in range(2):
        optimizer.zero_grad()
        functional.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()
        scheduler.step()
    optimizer.param_groups[0]["lr"] = 3.0
    optimizer.add_param_group({"params": [model.conv.bias]})
    optimizer.state.clear()
    model.register_forward_hook(lambda *_: None)
    model.conv.register_full_backward_hook(lambda *_: None)
    model.extra = "new"
    model.norm.running_mean = torch.full((4,), 5.0)
    model.head.weight = nn.Parameter(torch.zeros(2, 4))
    model.conv.weight.data = torch.zeros(1)
    model.conv.bias.requires_grad_(True)
    model.wide = torch.zeros(1)
    del model.memories
    batch[0].fill_(0.5)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = True
    torch.set_autocast_enabled("cpu", True)
    torch.set_autocast_dtype("cpu", torch.float16)


@contextmanager
def settings_of_the_process() -> Iterator[None]:
    """Keep a failing test from spoiling the others."""
    try:
        yield
    finally:
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = False
        torch.set_autocast_enabled("cpu", False)
        torch.set_autocast_dtype("cpu", torch.bfloat16)


@pytest.mark.parametrize("ending", [None, ValueError, KeyboardInterrupt])
def test_all_is_the_same_bits_afterwards(ending: type[BaseException] | None) -> None:
    parts = built()
    model, optimizer, _, _ = parts
    before = state(*parts)
    objects = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters()), *optimizer.param_groups]
    with settings_of_the_process():
        try:
            with untouched(*parts):
                havoc(*parts)
                if ending is not None:
                    raise ending
        except (ValueError, KeyboardInterrupt) as raised:
            assert type(raised) is ending  # noqa: PT017 - two types, one of them no Exception
        after = state(*parts)
    assert all(same(before[key], after[key]) for key in before), [
        key for key in before if not same(before[key], after[key])
    ]
    now = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters()), *optimizer.param_groups]
    assert all(a is b for a, b in zip(objects, now, strict=True))


def test_havoc_changes_everything_that_is_compared() -> None:
    """Otherwise the test above could not fail."""
    parts = built()
    before = state(*parts)
    with settings_of_the_process():
        with untouched():
            pass
        havoc(*parts)
        with torch.no_grad():
            vars(parts[0])["memories"] = {}
            after = state(*parts)
    assert not [key for key in before if same(before[key], after[key])]


def test_training_goes_on_as_if_nothing_had_been() -> None:
    """A run with an examination in the middle equals one without, bit for bit (checks.md, lessons)."""

    def run(*, examined: bool) -> list[torch.Tensor]:
        model, optimizer, scheduler, batch = built()
        for _ in range(3):
            optimizer.zero_grad()
            functional.cross_entropy(model(batch[0]), batch[1]).backward()
            optimizer.step()
            scheduler.step()
            if examined:
                with settings_of_the_process(), untouched(model, optimizer, scheduler, batch):
                    havoc(model, optimizer, scheduler, batch)
        return [value.clone() for value in model.state_dict().values()]

    assert same(run(examined=False), run(examined=True))


def test_functions_stand_for_what_they_hold() -> None:
    model, optimizer, scheduler, batch = built()

    def step(given: Any) -> None:
        functional.cross_entropy(model(given[0]), given[1]).backward()
        optimizer.step()
        scheduler.step()

    before = state(model, optimizer, scheduler, batch)
    with untouched(step):
        step(batch)
    assert same(before, state(model, optimizer, scheduler, batch))


def test_lazy_modules_are_refused() -> None:
    model = nn.LazyLinear(3)
    with pytest.raises(InputError, match="lazy modules"), untouched(model):
        pass
