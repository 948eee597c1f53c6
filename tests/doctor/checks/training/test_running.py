"""T16, T22, T23: waiting, memory, time (DX-100)."""

import numpy as np
import pytest
from tests.doctor.checks.training.traces import falling, made

from snellen.doctor import Status


@pytest.mark.parametrize(("wait_s", "step_s", "expected"), [
    (0.001, 0.02, []),
    (0.008, 0.02, ["INFO default"]),
    (0.09, 0.1, ["WARNING default"]),
    (0.002, 0.003, []),  # so short that the loop itself is what takes it
])  # fmt: skip
def test_waiting_for_data(found, wait_s, step_s, expected):
    assert found("T16", made(falling(), wait_s=wait_s, step_s=lambda _: step_s)) == expected


def test_what_is_said_of_waiting(said, judged):
    assert said("T16", made(falling(), wait_s=0.09, step_s=lambda _: 0.1)) == (
        "A usual step takes 100 ms, of which 90 ms (90 %) are spent waiting for images."
    )
    assert judged("T16", made(falling(20))).status == Status.NOT_CHECKABLE


GIB = 2**30


@pytest.mark.parametrize(("memory", "expected"), [
    (lambda _: GIB, []),
    (lambda step: GIB + step * 2**20, ["WARNING default"]),
    (lambda step: GIB + step * 2**12, []),  # next to nothing
    (lambda step: GIB + int(GIB * (1 - np.exp(-step / 60))), []),  # caches that fill
    (lambda step: GIB + (step % 100) * 2**20, []),  # up and down
])  # fmt: skip
def test_memory_grows(found, memory, expected):
    assert found("T22", made(falling(), memory=memory)) == expected


def test_what_is_said_of_memory(said, judged):
    trace = made(falling(1000), memory=lambda step: GIB + step * 2**20)
    assert said("T22", trace).endswith("MiB in 585 steps, and goes on: 1,000 MiB each thousand steps.")
    assert judged("T22", made(falling(60), memory=lambda _: 0)).status == Status.NOT_CHECKABLE


@pytest.mark.parametrize(("step_s", "expected"), [
    (lambda _: 0.02, []),
    (lambda step: 0.02 + 1e-4 * step, ["INFO default"]),
    (lambda step: 0.02 + 1e-3 * step, ["WARNING default"]),
    (lambda step: 0.02 + 0.05 * (150 < step < 300), []),  # other work on the machine
    (lambda step: 0.0005 + 1e-5 * step, []),
])  # fmt: skip
def test_steps_get_slower(found, step_s, expected):
    assert found("T23", made(falling(), step_s=step_s)) == expected


def test_what_is_said_of_time(said, judged):
    trace = made(falling(), step_s=lambda step: 0.02 + 1e-3 * step)
    assert said("T23", trace).startswith("A step took 82 ms at first and takes 3")
    assert judged("T23", made(falling(40))).status == Status.NOT_CHECKABLE
