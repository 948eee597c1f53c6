"""Ctrl-C and SIGTERM: finish the step, save, say so; a second time: stop at once."""

import os
import signal
import subprocess
import sys
import threading

import pytest
import torch

from snellen.training import Interruption


def start(script, folder, *arguments):
    command = [sys.executable, str(script), str(folder), "--talk", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process, words):
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_saves_and_the_run_can_go_on(workshop, script, tmp_path, number):
    folder = tmp_path / "run"
    with start(script, folder, "--step-s", 0.1) as process:
        wait_for(process, "step 5")
        process.send_signal(number)
        said = process.stdout.read()
        assert process.wait(timeout=60) == 0, process.stderr.read()
    assert said.splitlines()[-1] == "interrupted"
    step = torch.load(folder / "last.pt", weights_only=True)["progress"]["step"]
    assert step in (5, 6)
    log = (folder / "log.jsonl").read_text().splitlines()[-1]
    assert f"Interrupted after step {step} of 12; everything is saved in" in log
    _, weights = workshop.run(folder)
    _, expected = workshop.run(tmp_path / "whole")
    for part in ("model", "average"):
        assert all(torch.equal(value, weights[part][name]) for name, value in expected[part].items())


def test_second_signal_aborts_at_once(script, tmp_path):
    with start(script, tmp_path / "run", "--step-s", 30) as process:
        wait_for(process, "step 1")
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) != 0
        assert "KeyboardInterrupt" in process.stderr.read()


def test_handlers_are_put_back():
    former = signal.getsignal(signal.SIGTERM)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.requested
    assert signal.getsignal(signal.SIGTERM) is former


def test_only_a_second_sigint_aborts():
    with Interruption():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)  # as launchers do after Ctrl-C
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_other_threads_may_train():
    failed = []

    def enter():
        try:
            with Interruption():
                pass
        except ValueError as error:
            failed.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert not failed
