"""What people see."""

import io

import pytest
import torch
from rich.console import Console

from snellen.structures import Results
from snellen.training import (
    EpochDone,
    NonFiniteLoss,
    ProgressBar,
    Started,
    StepDone,
    Stopped,
    Validated,
)
from snellen.training import progress as module
from snellen.training.progress import duration


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module, "perf_counter", lambda: now[0])
    return now


def step(number, loss):
    losses = {"[box]": torch.tensor(loss)}
    return StepDone(step=number, epoch=0, losses=losses, lr=0.02, images=8, data_wait_s=0.5, step_s=1.5)


def test_plain_lines_each_half_minute_and_epoch(clock):
    out = io.StringIO()
    bar = ProgressBar(Console(file=out, width=40))
    bar.see(Started(step=0, epoch=0, epochs=3, total_steps=100, notice="last.pt: damaged."))
    for number in range(1, 41):
        clock[0] += 2.0
        bar.see(step(number, 1.0))
    bar.see(NonFiniteLoss(step=40, epoch=0, names=("[box]",), indices=(4, 2), in_a_row=1))
    bar.see(EpochDone(step=40, epoch=0, losses={"[box]": 0.5}, images=320, seconds=80.0, skipped={"a": "b"}))
    results = Results(headline="ap50", scalars={"ap50": 0.5})
    bar.see(Validated(step=40, epoch=0, results=results, losses={"x": 2.0}, score=0.5, improved=True))
    bar.see(Stopped(reason="finished", step=40, epoch=1, message="Finished after 40 steps."))
    bar.close()
    assert out.getvalue().splitlines() == [
        "last.pt: damaged.",
        "epoch 1/3  step 15/100  loss 1  lr 2.00e-02  4.0 images/s  2:50 left  25% waiting for data",
        "epoch 1/3  step 30/100  loss 1  lr 2.00e-02  4.0 images/s  2:20 left  25% waiting for data",
        "step 40 skipped: [box] not finite (images 4, 2)",
        "epoch 1/3  [box] 0.5  1:20  4.0 images/s  25% waiting for data  1 files skipped",
        "epoch 1  validation ap50 0.5  validation loss 2  (best so far)",
        "Finished after 40 steps.",
    ]


def test_loss_is_smoothed_and_survives_nan(clock):
    out = io.StringIO()
    bar = ProgressBar(Console(file=out, width=200))
    bar.see(Started(step=0, epoch=0, epochs=1, total_steps=3))
    for number, loss in enumerate([1.0, 2.0, float("nan")], start=1):
        clock[0] += 31.0
        bar.see(step(number, loss))
    assert [line.split("loss ")[1].split()[0] for line in out.getvalue().splitlines()] == ["1", "1.1", "1.1"]


def test_bar_on_a_terminal(clock):
    out = io.StringIO()
    bar = ProgressBar(Console(file=out, force_terminal=True, width=160))
    bar.see(Started(step=0, epoch=0, epochs=1, total_steps=3))
    clock[0] += 1.0
    bar.see(step(1, 0.25))
    bar.close()
    bar.close()
    assert "step 1/3" in out.getvalue()
    assert "loss 0.25" in out.getvalue()


def test_reading_the_loss_is_rare(clock):
    """Each look waits for the device."""

    class Counted(dict):
        looks = 0

        def values(self):
            Counted.looks += 1
            return super().values()

    bar = ProgressBar(Console(file=io.StringIO(), force_terminal=True, width=160))
    bar.see(Started(step=0, epoch=0, epochs=1, total_steps=1000))
    for number in range(1, 101):
        clock[0] += 0.1
        event = StepDone(
            step=number,
            epoch=0,
            losses=Counted(a=torch.tensor(1.0)),
            lr=0.1,
            images=1,
            data_wait_s=0.0,
            step_s=0.1,
        )
        bar.see(event)
    bar.close()
    assert 15 <= Counted.looks <= 21


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "0:00"), (59.6, "1:00"), (754.0, "12:34"), (3723.0, "1:02:03")])
def test_duration(seconds, text):
    assert duration(seconds) == text
