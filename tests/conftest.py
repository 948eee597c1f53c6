"""Fixtures that every package's tests share."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, or a skip where there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SNELLEN_DATA", default))
    if not folder.is_dir():
        pytest.skip("no real data sets here; set SNELLEN_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def together():
    """Run a program, given as text, in two processes that ``torchrun`` would have started; its arguments follow."""

    def run(program: str, *arguments: object) -> None:
        with socket.socket() as box:
            box.bind(("127.0.0.1", 0))
            port = box.getsockname()[1]
        processes = []
        for rank in range(2):
            place = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "MASTER_PORT": port}
            environment = os.environ | {name: str(value) for name, value in place.items()}
            environment |= {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
            command = [sys.executable, "-c", program, *map(str, arguments)]
            processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
        for process in processes:
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said

    return run
