"""Situations of runs of every kind, and a data set that the smallest network learns in seconds."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snellen.data import load
from snellen.recipes.options import options_from
from snellen.recipes.preparing import prepare_training
from snellen.recipes.runs import Run
from snellen.recipes.treating.situation import situation_of

STRIPES = {"model": "lenet5_modern", "image_size": 32, "batch_size": 8, "workers": 0, "device": "cpu",
           "precision": "fp32", "tensorboard": False, "epochs": 8}  # fmt: skip


@pytest.fixture(scope="session")
def stripes(tmp_path_factory) -> Path:
    """Images of upright and of lying stripes in noise."""
    root = tmp_path_factory.mktemp("stripes") / "stripes"
    chance = np.random.default_rng(0)
    for split, count in (("train", 48), ("val", 24), ("test", 24)):
        for turned, name in enumerate(("bars", "rows")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count // 2):
                wave = np.sin(2 * np.pi * np.arange(32) / 8 + chance.uniform(0, 6.28)) * 60 + 127
                image = np.tile(wave, (32, 1))
                image = (image.T if turned else image)[..., None] + chance.normal(0, 60, (32, 32, 3))
                Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def stripe_options():
    return dict(STRIPES)


@pytest.fixture(scope="session")
def situation(charts):
    """Return the situation of a run that was prepared and never trained."""

    def make(kind: str = "classes", model: str = "resnet18", **options):
        usual = {"image_size": 64, "batch_size": 4, "workers": 0, "device": "cpu", "epochs": 4, "precision": "fp32"}
        given = options_from({"model": model, **usual, **options})
        ready = prepare_training(load(charts[kind]), given)
        run = Run(folder=Path("never"), record=ready.record)
        return situation_of(run, given, ready.index)

    return make
