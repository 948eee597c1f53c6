"""Weights that are given to check also describe the images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.doctor import NotCheckable
from snellen.models.backbones import mobilenet_v2
from snellen.recipes.checking import _pretrained
from snellen.recipes.options import options_from
from snellen.recipes.preparing import Preparation, prepare_training


def prepared(home: Path, weights: Path | None) -> Preparation:
    for name in ("ants", "bees"):
        (home / name).mkdir(parents=True)
        for number in range(8):
            pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(home / name / f"{number}.png")
    chosen = {"model": "mobilenet_v2", "weights": weights, "mean": (0.5, 0.4, 0.3), "std": (0.5, 0.5, 0.5)}
    return prepare_training(home, options_from(chosen))


def test_a_copy_of_the_backbone_describes_images(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save(mobilenet_v2().state_dict(), file)
    ready = prepared(tmp_path / "data", file)
    found = _pretrained(ready)
    assert found.name == "mobilenet_v2"
    assert found.mean == (0.5, 0.4, 0.3)
    assert not found.network.training
    own = dict(ready.model.backbone.named_parameters())  # type: ignore[attr-defined]  # this model has one
    assert all(torch.equal(own[name], copy) for name, copy in found.network.named_parameters())
    assert not any(own[name] is copy for name, copy in found.network.named_parameters())


def test_random_weights_describe_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotCheckable, match="weights"):
        _pretrained(prepared(tmp_path / "data", None))
