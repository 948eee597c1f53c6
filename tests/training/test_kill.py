"""Killed with SIGKILL at random moments, also while writing; resumed, the end is equal bit for bit."""

import os
import subprocess
import sys

import pytest
import torch

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as POSIX does")


def run_program(script, *arguments):
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_same_end(one, other):
    first = torch.load(one / "end.pt", weights_only=True)
    second = torch.load(other / "end.pt", weights_only=True)
    for part in ("model", "average"):
        assert first[part].keys() == second[part].keys()
        for name, value in first[part].items():
            assert torch.equal(value, second[part][name]), f"{part}.{name}"


def figures(folder):
    import json

    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines if line["event"] == "step"]


@pytest.mark.parametrize(
    ("kills", "epochs"), [(4, 8), pytest.param(20, 30, marks=pytest.mark.slow)], ids=["4-kills", "20-kills"]
)
def test_killed_and_resumed(script, tmp_path, kills, epochs):
    run_program(script, tmp_path / "whole", "--epochs", epochs)
    speed = ["--epochs", epochs, "--step-s", 0.03]
    said = run_program(script, tmp_path / "killed", "--kills", kills, "--seed", 11, *speed)
    assert said.split("killed ")[1].strip() == str(kills)
    assert_same_end(tmp_path / "whole", tmp_path / "killed")
    assert figures(tmp_path / "whole") == figures(tmp_path / "killed")


WRITING = """
import os, pathlib, signal, sys, torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
import tiny_training as tiny
tiny.import_all()

for where in ("save", "replace"):
    for call in range(1, 5):
        folder = pathlib.Path(sys.argv[2]) / f"{where}{call}"
        folder.mkdir()
        _, status = os.waitpid(tiny._child(folder, {}, (call, where)), 0)
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            sys.exit(f"{where}{call} was not killed")
"""


def test_killed_while_writing(workshop, script, tmp_path):
    """The process dies half-way through a file, or just before either rename."""
    command = [sys.executable, "-c", WRITING, str(script.parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    folders = sorted(tmp_path.iterdir())
    assert len(folders) == 8
    _, expected = workshop.run(tmp_path / "whole")
    for folder in folders:
        assert not (folder / "end.pt").exists()
        _, weights = workshop.run(folder)
        for part in ("model", "average"):
            for name, value in expected[part].items():
                assert torch.equal(value, weights[part][name]), f"{folder.name}: {part}.{name}"
