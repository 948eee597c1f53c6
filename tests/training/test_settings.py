import json
from dataclasses import asdict

import pytest

from snellen.errors import ConfigError
from snellen.training import DepthGroup, TrainSettings


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"optimizer": "lion"}, "optimizer must be one of sgd, rmsprop, adam, adamw; got 'lion'"),
        ({"schedule": "multistep"}, "needs milestones"),
        ({"precision": "fp16"}, "precision must be one of fp32, bf16"),
        ({"ema_decay": 1.0}, "ema_decay must be in"),
        ({"clip_norm": -1.0}, "clip_norm must be above 0, or None"),
        ({"clip_value": 0.0}, "clip_value must be above 0, or None"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"lr": float("nan")}, "lr must be above 0"),
        ({"nesterov": True, "momentum": 0.0}, "nesterov needs SGD with momentum"),
        ({"nesterov": True, "optimizer": "adam"}, "nesterov needs SGD with momentum"),
        ({"l1": -1.0}, "l1 must be 0 or more"),
        ({"optimizer": "adam", "switch_epoch": 1}, "switch_epoch and switch_lr go together"),
        ({"optimizer": "sgd", "switch_epoch": 1, "switch_lr": 0.1}, "another than sgd"),
        ({"optimizer": "adam", "switch_epoch": 9, "switch_lr": 0.1}, "switch_epoch must be below epochs="),
        ({"swa_epochs": 99}, "swa_epochs must be in [0,"),
        ({"epochs": 3, "swa_epochs": 1, "ema_decay": 0.9}, "swa_epochs averages weights with equal shares"),
        ({"plateau_factor": 1.0}, "plateau_factor must be in"),
    ],
)
def test_impossible_settings_are_refused(change, words):
    with pytest.raises(ConfigError, match=words.replace("[", "\\[")):
        TrainSettings(**({"epochs": 1, "lr": 0.1} | change))


def test_settings_come_back_from_json():
    """Q: does a record of a run hold the parts of a model, too?"""
    part = DepthGroup(name="c2", parts=("backbone.layer1", "backbone.bn1"), factor=0.25, from_epoch=None)
    settings = TrainSettings(epochs=3, lr=0.1, milestones=(1, 2), depth=(part, DepthGroup(name="rest", parts=("",))))
    assert TrainSettings.from_record(json.loads(json.dumps(asdict(settings)))) == settings
