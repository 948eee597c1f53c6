"""Tiny charts of every kind of annotation, and a run trained on each: the smallest that goes the whole way."""

from pathlib import Path

import pytest

import snellen
from snellen.data import ChartFaults, ChartSpec, write_charts
from snellen.structures import BoxTarget, ClassTarget, MaskTarget

TASKS = {"boxes": BoxTarget, "classes": ClassTarget, "masks": MaskTarget}
MODELS = {"boxes": "faster_rcnn_r18_fpn", "classes": "resnet18", "masks": "unet_resnet18"}
TINY = {"epochs": 2, "image_size": 64, "batch_size": 4, "workers": 0, "device": "cpu", "precision": "fp32"}


def write_tiny(folder: Path, kind: str, *, letters: str = "CO", num_train: int = 8, corrupt: float = 0.0) -> Path:
    num_letters = (1, 1) if kind == "classes" else (1, 2)
    spec = ChartSpec(
        letters=letters,
        size=(64, 64),
        num_letters=num_letters,
        letter_height=(20.0, 40.0),
        difficulty=0.0,
        faults=ChartFaults(corrupt=corrupt),
    )
    return write_charts(folder, task=TASKS[kind], num_train=num_train, num_val=4, num_test=4, spec=spec)


@pytest.fixture(scope="session")
def tiny():
    """Options of a run of seconds."""
    return dict(TINY)


@pytest.fixture(scope="session")
def make_charts():
    return write_tiny


@pytest.fixture(scope="session")
def charts(tmp_path_factory):
    """Return the folder of tiny charts of one kind."""
    root = tmp_path_factory.mktemp("charts")
    return {kind: write_tiny(root / kind, kind) for kind in TASKS}


@pytest.fixture(scope="session")
def trained(charts, tmp_path_factory):
    """Return a run of one kind, trained once; tests must not change its folder."""
    root = tmp_path_factory.mktemp("runs")
    made = {}

    def get(kind: str) -> snellen.Run:
        if kind not in made:
            made[kind] = snellen.train(charts[kind], model=MODELS[kind], folder=root / kind, **TINY)
        return made[kind]

    return get


@pytest.fixture
def run_at(trained, tmp_path):
    """Return a copy of a run that a test may write to and damage, without the large file for going on."""
    import shutil

    def copy(kind: str = "classes", *, last: bool = False) -> snellen.Run:
        folder = tmp_path / f"run-{kind}"
        left_out = () if last else ("last*.pt",)
        shutil.copytree(trained(kind).folder, folder, ignore=shutil.ignore_patterns(*left_out))
        return snellen.Run.open(folder)

    return copy
