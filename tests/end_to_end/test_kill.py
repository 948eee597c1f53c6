"""The command line killed with SIGKILL at random moments and resumed: the end is equal bit for bit."""

import os
import random
import subprocess
import sys
import time

import pytest
import torch

from snellen.data import ChartSpec, write_charts
from snellen.structures import ClassTarget

pytestmark = [
    pytest.mark.slow,  # each process spends seconds on its imports
    pytest.mark.skipif(not hasattr(os, "killpg"), reason="kills processes as POSIX does"),
]

LONGEST_S = 120  # until a process must have done a step


def start(*words):
    command = [sys.executable, "-m", "snellen", "train", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # A session of its own: its worker processes must die with it, as when a machine fails.
    return subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def size_of(file):
    return file.stat().st_size if file.exists() else 0


def kill_during_training(process, log, delay_s):
    """Kill once training has gone on for a while; return whether it was still running."""
    before, deadline = size_of(log), time.monotonic() + LONGEST_S
    while size_of(log) <= before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(delay_s)
    alive = process.poll() is None
    os.killpg(process.pid, 9) if alive else None
    process.communicate()
    return alive


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    spec = ChartSpec(letters="CO", size=(64, 64), num_letters=(1, 1), letter_height=(20.0, 40.0))
    folder = tmp_path_factory.mktemp("letters")
    return write_charts(folder, task=ClassTarget, num_train=16, num_val=4, num_test=4, spec=spec)


def assert_equal(one, other):
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    else:
        assert one == other


@pytest.mark.parametrize(("kills", "epochs"), [(2, 12), (20, 90)], ids=["2-kills", "20-kills"])
def test_killed_and_resumed(letters, tmp_path, kills, epochs):
    options = (
        letters, "--model", "mobilenet_v2", "--epochs", epochs, "--image-size", 32, "--batch-size", 4, "--workers", 1,
        "--device", "cpu", "--precision", "fp32", "--ema", 0.9, "--validate-every", 1, "--no-tensorboard", "--seed", 5,
    )  # fmt: skip
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(start(*options, "--out", whole))
    moments = random.Random(kills)
    killed = 0
    process = start(*options, "--out", broken)
    while killed < kills and kill_during_training(process, broken / "log.jsonl", moments.uniform(0, 0.9)):
        killed += 1
        process = start("--resume", broken)
    finish(process)
    assert killed == kills
    assert (broken / "report.html").exists()
    one, other = (
        torch.load(folder / "checkpoints" / "last.pt", weights_only=True, map_location="cpu")
        for folder in (whole, broken)
    )
    for part in ("model", "average", "optimizer"):
        assert_equal(one[part], other[part])
