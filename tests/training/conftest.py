"""A small real model and a source of shuffled, augmented batches, for all tests of training."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch


def _load(name: str) -> ModuleType:
    # Subprocesses of the kill tests run the same file as a script, hence no fixture-only definition.
    known = sys.modules.get(name)
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def workshop() -> ModuleType:
    """The module with the tiny model and source."""
    return _load("tiny_training")


@pytest.fixture(scope="session")
def script() -> Path:
    """The same file, to be run as a program."""
    return Path(__file__).parent / "tiny_training.py"


@pytest.fixture(autouse=True)
def one_thread():
    """Sums depend on how they are split, so bits are compared with one thread everywhere."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
