"""Weights, mixing and thresholds as they are typed."""

import json

import pytest

from snellen.cli.choices import weights_by_class, whole_numbers
from snellen.errors import ConfigError


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (None, None),
        ("inverse", "inverse"),
        ("inverse_sqrt", "inverse_sqrt"),
        ("1,20", [1.0, 20.0]),
        ("2", [2.0]),
        ("rust=20, scratch=5.5", {"rust": 20.0, "scratch": 5.5}),
        ("a=b=2", {"a=b": 2.0}),
    ],
)
def test_weights(typed, meant):
    assert weights_by_class(typed) == meant


@pytest.mark.parametrize("typed", ["rust=20,5", "1,x", "rust=much"])
def test_weights_that_are_none(typed):
    with pytest.raises(ConfigError, match="--class-weights must be"):
        weights_by_class(typed)


def test_whole_numbers():
    assert whole_numbers("2,9", "--randaugment") == (2, 9)
    assert whole_numbers(None, "--randaugment") is None
    with pytest.raises(ConfigError, match="--randaugment must be whole numbers"):
        whole_numbers("2;9", "--randaugment")


def test_from_training_to_thresholds(call, letters, tmp_path, tiny_options):
    """SYS-359: train with remedies, choose a threshold on validation images, predict with it."""
    run = tmp_path / "run"
    remedies = ("--class-weights", "inverse", "--loss", "focal", "--sampler", "square_root", "--headline", "macro_F1")
    changes = ("--randaugment", "1,5", "--cutmix", 0.5, "--erase", 0.5)
    done = call(
        "train", letters / "classes", "--model", "lenet5_modern", "--out", run, *tiny_options, *remedies, *changes
    )
    assert done.code == 0, done.err
    assert "class_counts" in done.err
    assert "macro_F1 (headline)" in done.err
    done = call("eval", run, "--best-f1", "--calibrate", "--json")
    assert done.code == 0, done.err
    assert "temperature" in done.err
    assert json.loads(done.out)["headline"] == "macro_F1"
    assert json.loads((run / "operating.json").read_text())["chosen_on"] == "val"
    wrong = call("eval", run, "--at-recall", 0.9, "--best-f1")
    assert wrong.code == 2
    assert "aims at one thing" in wrong.err
    wrong = call("train", letters / "classes", "--model", "lenet5_modern", "--class-weights", "nobody=3")
    assert wrong.code == 2
    assert "class_weights must name classes" in wrong.err
