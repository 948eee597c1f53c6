"""A command line run in this process, one run in another, and a tiny run to point them at."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial

import pytest

import snellen
from snellen.cli import main as entry
from snellen.data import ChartSpec, write_charts
from snellen.structures import BoxTarget, ClassTarget

TINY = ("--epochs", 1, "--image-size", 64, "--batch-size", 4, "--workers", 0, "--device", "cpu", "--precision", "fp32")


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the command line in this process, which has imported torch already."""

    def run(*words) -> Said:
        monkeypatch.setattr(sys, "argv", ["snellen", *map(str, words)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            entry.main()
        told = capsys.readouterr()
        return Said(code=ended.value.code or 0, out=told.out, err=told.err)

    return run


@pytest.fixture
def start(tmp_path):
    """Start the command line in a process of its own."""
    started = []

    def run(*words, **options) -> subprocess.Popen:
        command = [sys.executable, "-W", "error", "-m", "snellen", *map(str, words)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **options.pop("env", {})}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path, **options}
        # Where the tests run in the background, Ctrl-C is ignored, and children inherit that.
        listening = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        process = subprocess.Popen(command, env=environment, preexec_fn=listening, **streams)  # noqa: PLW1509
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def tiny_options():
    return TINY


@pytest.fixture(scope="session")
def letters(tmp_path_factory):
    """Return images to classify, and images with boxes."""
    root = tmp_path_factory.mktemp("letters")
    one = ChartSpec(letters="CO", size=(64, 64), num_letters=(1, 1), letter_height=(20.0, 40.0), difficulty=0.0)
    for name, task in (("classes", ClassTarget), ("boxes", BoxTarget)):
        write_charts(root / name, task=task, num_train=8, num_val=4, num_test=4, spec=one)
    return root


@pytest.fixture(scope="session")
def finished(letters, tmp_path_factory):
    """Return the folder of a run; tests must not change it."""
    folder = tmp_path_factory.mktemp("run") / "letters"
    options = {"epochs": 1, "image_size": 64, "batch_size": 4, "workers": 0, "device": "cpu", "precision": "fp32"}
    snellen.train(letters / "classes", model="mobilenet_v2", folder=folder, tensorboard=False, **options)
    return folder


@pytest.fixture
def run_folder(finished, tmp_path):
    """Return the folder of a run that a test may damage."""
    return shutil.copytree(finished, tmp_path / "a-run")
