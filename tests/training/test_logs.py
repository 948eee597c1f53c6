"""The JSONL log and TensorBoard, read back by others' readers."""

import json
import subprocess
import sys
import time

import pytest
import torch

from snellen.structures import Results
from snellen.training import (
    EpochDone,
    JsonlLog,
    NonFiniteLoss,
    Started,
    StepDone,
    Stopped,
    TensorBoardLog,
    Validated,
)


def started(step=0, epoch=0):
    return Started(step=step, epoch=epoch, epochs=4, total_steps=40)


def done(step, epoch=0, loss=1.0):
    losses = {"box": torch.tensor(loss), "class": torch.tensor(0.5)}
    return StepDone(step=step, epoch=epoch, losses=losses, lr=0.1, images=4, data_wait_s=0.1, step_s=0.3)


def validated(step, epoch):
    results = Results(headline="ap", scalars={"ap": 0.25, "ar": float("nan")})
    return Validated(step=step, epoch=epoch, results=results, losses={"box": 2.0}, score=0.25, improved=True)


def show(observer, *events):
    for event in events:
        observer.see(event)
    observer.close()


def lines(path):
    return [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]


def test_lines(tmp_path):
    path = tmp_path / "run" / "log.jsonl"
    bad = NonFiniteLoss(step=5, epoch=0, names=("box",), indices=(3, 9), in_a_row=1)
    end = EpochDone(step=6, epoch=0, losses={"box": 1.0}, images=24, seconds=3.0, skipped={"ä.png": "cut"})
    stop = Stopped(reason="finished", step=6, epoch=1, message="Finished.")
    steps = [done(step) for step in range(1, 7)]
    show(JsonlLog(path, every=3), started(), *steps, bad, end, validated(6, 0), stop)
    found = lines(path)
    assert [line["event"] for line in found] == [
        "step",
        "step",
        "nonfinite_loss",
        "epoch_done",
        "validated",
        "stopped",
    ]
    assert found[0] | {"losses": None} == {
        "event": "step",
        "step": 3,
        "epoch": 0,
        "losses": None,
        "loss": 1.5,
        "lr": 0.1,
        "images": 4,
        "data_wait_s": 0.1,
        "step_s": 0.3,
    }
    assert found[2]["indices"] == [3, 9]
    assert found[3]["skipped"] == {"ä.png": "cut"}
    assert found[4]["scalars"] == {"ap": 0.25, "ar": None}


def test_lines_are_there_at_once(tmp_path):
    log = JsonlLog(tmp_path / "log.jsonl", every=1)
    log.see(started())
    log.see(done(1))
    assert len(lines(log.path)) == 1
    log.close()


def test_resumed_log_is_not_doubled(tmp_path):
    path = tmp_path / "log.jsonl"
    steps = [done(step) for step in range(1, 10)]
    show(JsonlLog(path, every=1), started(), *steps[:5], validated(5, 0), *steps[5:], validated(9, 1))
    with path.open("a") as file:
        file.write('{"event": "st')
    show(JsonlLog(path, every=1), started(7, epoch=1), done(8), done(9), validated(9, 1))
    assert [line["step"] for line in lines(path) if line["event"] == "step"] == list(range(1, 10))
    assert [line["epoch"] for line in lines(path) if line["event"] == "validated"] == [0, 1]


def test_validation_that_is_repeated_replaces_the_former(tmp_path):
    path = tmp_path / "log.jsonl"
    show(JsonlLog(path, every=1), started(), done(1), validated(1, 0))
    show(JsonlLog(path, every=1), started(1, epoch=0), validated(1, 0))
    assert [line["event"] for line in lines(path)] == ["step", "validated"]


def test_new_run_empties_the_log(tmp_path):
    path = tmp_path / "log.jsonl"
    show(JsonlLog(path, every=1), started(), done(1))
    show(JsonlLog(path, every=1), started())
    assert lines(path) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # from tensorboard's own imports
def test_tensorboard_reads_the_curves(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    steps = [done(step, loss=float(step)) for step in range(1, 6)]
    show(TensorBoardLog(tmp_path, every=1), started(), *steps, validated(5, 0))
    time.sleep(1.1)  # names of event files hold seconds, and are read in the order of the alphabet
    show(TensorBoardLog(tmp_path, every=1), started(3), done(4, loss=40.0))
    reader = EventAccumulator(str(tmp_path)).Reload()
    points = [(point.step, point.value) for point in reader.Scalars("train/box")]
    assert points == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 40.0)]
    assert "train/lr" in reader.Tags()["scalars"]
    assert reader.Scalars("validation/ap") == []  # hidden: the resumed run will measure it again


def test_importing_brings_no_tensorboard():
    program = "import sys, snellen.training; sys.exit('tensorboard' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
