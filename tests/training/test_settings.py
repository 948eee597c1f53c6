import pytest

from snellen.errors import ConfigError
from snellen.training import TrainSettings


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"optimizer": "lion"}, "optimizer must be one of sgd, adamw; got 'lion'"),
        ({"schedule": "multistep"}, "needs milestones"),
        ({"precision": "fp16"}, "precision must be one of fp32, bf16"),
        ({"ema_decay": 1.0}, "ema_decay must be in"),
        ({"clip_norm": -1.0}, "clip_norm must be above 0, or None"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"lr": float("nan")}, "lr must be above 0"),
    ],
)
def test_impossible_settings_are_refused(change, words):
    with pytest.raises(ConfigError, match=words.replace("[", "\\[")):
        TrainSettings(**({"epochs": 1, "lr": 0.1} | change))
