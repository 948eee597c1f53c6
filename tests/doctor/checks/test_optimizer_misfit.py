"""M39 (DX-049, DX-041; DeepCrime's RAW, RCW, OCH, OCG)."""

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import nn, optim
from torch.nn import functional

from snellen.doctor import Evidence, diagnose, find_check
from snellen.doctor.evidence.probes.first_updates import FirstUpdates
from snellen.doctor.evidence.probes.optimizer_facts import optimizer_facts
from snellen.doctor.evidence.setup import Setup

Parameters = Iterable[nn.Parameter]


@pytest.mark.parametrize(("made", "expected"), [
    (lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=5e-4), []),
    (lambda p: optim.AdamW(p, lr=1e-3, weight_decay=0.3), []),
    (lambda p: optim.Adam(p, lr=1e-3), []),
    (optim.Adadelta, []),
    (lambda p: optim.RMSprop(p, lr=1e-3, momentum=0.9), []),
    (lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.3), ["WARNING decay"]),
    (lambda p: optim.AdamW(p, lr=1e-3, weight_decay=10.0), ["WARNING decay"]),
    (lambda p: optim.Adadelta(p, lr=1e-3), ["WARNING adadelta"]),
    (lambda p: optim.SGD(p, lr=1e-6), ["WARNING plain_slow"]),
    (lambda p: optim.SGD(p, lr=0.1), ["INFO plain"]),
    (optim.Rprop, ["WARNING whole_data"]),
])  # fmt: skip
def test_rules(small_net, labelled, checked, messages, made: Callable[[Parameters], optim.Optimizer], expected) -> None:
    model = small_net()
    assert messages(checked("M39", model, labelled, functional.cross_entropy, made(model.parameters()))) == expected


def test_decay_that_pulls_harder_than_the_data(small_net, labelled, checked, messages) -> None:
    """SYS-212, ERR-034: the size of weights before a norm says nothing, so decay alone moves it."""
    model = small_net()
    with torch.no_grad():
        model.conv.weight *= 1000  # before a norm: the same function, and next to no gradient
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.01)
    result = checked("M39", model, labelled, functional.cross_entropy, optimizer)
    assert messages(result) == ["WARNING decay_wins"]
    text = find_check("M39").pages["en"].message(result.findings[0])
    assert text.startswith("In the first step the weight decay of 0.01 pulls ")


def updates(norm: float) -> FirstUpdates:
    return FirstUpdates(rate=0.1, is_warmed_up=False, ratios=(1e-3,), losses=(2.0, 1.9), norms=(norm,), decay=0.0,
                        drift=None, samples=8)  # fmt: skip


@pytest.mark.parametrize(("rule", "clip", "expected"), [
    ("sgd", 10.0, []), ("sgd", 1e-4, ["clipping"]), ("adamw", 1e-4, []), ("sgd", None, []),
])  # fmt: skip
def test_clipping(rule: str, clip: float | None, expected: list[str]) -> None:
    setup = Setup(optimizer=rule, lr=0.1, options={"clip_norm": clip, "momentum": 0.9})
    facts = optimizer_facts(None, setup)
    findings = diagnose(Evidence([facts, updates(2.0)]), [find_check("M39")]).findings
    assert [finding.message for finding in findings] == expected


def test_the_plan_alone_shows_decay() -> None:
    plan = Setup(optimizer="sgd", lr=0.1, weight_decay=0.5, options={"momentum": 0.9})
    (finding,) = diagnose(Evidence([plan], [optimizer_facts]), [find_check("M39")]).findings
    assert find_check("M39").pages["en"].message(finding) == (
        "A weight decay of 0.5 is far beyond what is usual (0.0001)."
    )
