"""The verb lr: a range test of a planned training (M36, DX-039, DX-040)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import snellen
from snellen.errors import ConfigError
from snellen.recipes import write_rate_chart

QUICK = {"image_size": 64, "batch_size": 4, "workers": 0, "device": "cpu", "precision": "fp32"}


@pytest.mark.parametrize(("kind", "model"), [
    ("classes", "resnet18"), ("masks", "unet_resnet18"), ("boxes", "faster_rcnn_r18_fpn"),
])  # fmt: skip
def test_every_kind_of_model(charts, tmp_path, monkeypatch, kind: str, model: str) -> None:
    monkeypatch.chdir(tmp_path)
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    advice = snellen.find_rate(charts[kind], model=model, steps=10, high=1e-3, **QUICK)
    assert len(advice.test.rates) == 10
    assert advice.test.rates[0] == pytest.approx(1e-7)
    assert advice.optimizer == "adamw"
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tobytes() == before[1]  # noqa: NPY002


def test_sees_the_batches_and_the_chance_of_train(charts, tmp_path: Path) -> None:
    """At rates too low to matter the losses are those of a run with the same seed."""
    advice = snellen.find_rate(charts["classes"], model="resnet18", steps=10, low=1e-12, high=1e-11, **QUICK)
    options = {"epochs": 5, "lr": 1e-12, "tensorboard": False, "folder": tmp_path / "run", "force": True}
    run = snellen.train(charts["classes"], model="resnet18", **QUICK, **options)
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    losses = [entry["loss"] for entry in log if entry["event"] == "step"]
    assert len(losses) == 10
    assert np.mean(advice.test.losses) == pytest.approx(np.mean(losses), rel=1e-5)


def test_what_is_solved_for_has_no_rate(charts) -> None:
    with pytest.raises(ConfigError, match="solved for and has no learning rate"):
        snellen.find_rate(charts["boxes"], model="hog_svm", **QUICK)


def test_options_are_those_of_train(charts) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'batch_size'"):
        snellen.find_rate(charts["classes"], batch_sise=3)


def test_chart_and_record(charts, tmp_path: Path) -> None:
    advice = snellen.find_rate(charts["classes"], model="resnet18", steps=12, **QUICK)
    file = write_rate_chart(tmp_path / "new" / "rates.svg", advice)
    text = file.read_text(encoding="utf-8")
    assert text.startswith('<?xml version="1.0"')
    assert "http://www.w3.org/2000/svg" in text
    record = json.loads(json.dumps(advice.record()))
    assert record["model"] == "resnet18"
    assert len(record["rates"]) == len(record["losses"]) == len(record["smoothed"])
