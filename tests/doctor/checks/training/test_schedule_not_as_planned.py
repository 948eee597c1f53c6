"""T14 (DX-048)."""

from math import cos, pi

import pytest
from tests.doctor.checks.training.traces import falling, made

from snellen.doctor import Status
from snellen.doctor.evidence.setup import Setup


def cosine(step: int) -> float:
    return 0.05 * (1 + cos(pi * step / 400))


@pytest.mark.parametrize(("rate", "expected"), [
    (lambda _: 0.1, []),
    (cosine, []),
    (lambda step: 0.1 * min(1, (step - 1) / 50), []),  # warm-up from zero
    (lambda step: 0.1 ** (1 + sum(step > at for at in (120, 240, 360))), []),  # 30, 60 and 90 %
    (lambda step: [0.1 * (step % 2), 0.1 * ((step + 1) % 2)], []),  # two that take turns
    (lambda _: 0.0, ["WARNING zero"]),
    (lambda step: 0.1 if step % 4 else 0.0, ["WARNING zero"]),
    (lambda step: 0.1 if step < 200 else 0.0, ["WARNING zero"]),
    (lambda step: 0.1 * 0.9**step, ["WARNING gone"]),
])  # fmt: skip
def test_rates(found, rate, expected):
    assert found("T14", made(falling(), rate=rate)) == expected


def test_constant_though_a_schedule_was_planned(found, said):
    planned = Setup(lr=0.1, warmup_steps=100, steps=400, options={"schedule": "cosine"})
    trace = made(falling())
    assert found("T14", trace, planned) == ["ERROR constant"]
    assert said("T14", trace, planned) == (
        "The rate was 0.1 in all 400 steps, though a warm-up of 100 steps and the schedule cosine were planned."
    )
    assert found("T14", made(falling(), rate=cosine), planned) == []
    assert found("T14", made(falling()), Setup(lr=0.1, options={"schedule": "constant"})) == []
    assert found("T14", made(falling(150)), Setup(lr=0.1, steps=4000, options={"schedule": "cosine"})) == []


def test_another_peak_than_planned(found):
    assert found("T14", made(falling()), Setup(lr=0.01)) == ["WARNING peak"]
    assert found("T14", made(falling()), Setup(lr=0.1)) == []
    assert found("T14", made(falling(), rate=lambda step: step / 4000), Setup(lr=0.1)) == []


def test_other_numbers_of_steps(found, said):
    assert found("T14", made(falling(), planned=300)) == ["WARNING beyond"]
    assert said("T14", made(falling(), planned=300)) == "400 steps were made; the schedule was planned for 300."
    assert found("T14", made(falling(), planned=1000)) == ["INFO short"]
    assert found("T14", made(falling(), planned=1000, is_over=False)) == []


def test_few_steps(judged):
    assert judged("T14", made(falling(20))).status == Status.NOT_CHECKABLE
