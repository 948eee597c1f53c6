"""What a user may say, and what is answered when it is wrong."""

import math
from pathlib import Path

import numpy as np
import pytest

from snellen.errors import ConfigError
from snellen.recipes.options import TrainOptions, options_from


@pytest.mark.parametrize(
    ("name", "meant"),
    [("epoch", "epochs"), ("batchsize", "batch_size"), ("learning_rat", "lr"), ("wieghts", "weights")],
)
def test_unknown_option_names_near_ones(name, meant):
    with pytest.raises(ConfigError, match=f"no option '{name}'.*{meant}"):
        options_from({name: 1})


def test_paths_may_be_strings():
    options = options_from({"weights": "a.pth", "folder": "runs/x"})
    assert options.weights == Path("a.pth")
    assert options.folder == Path("runs/x")


def test_none_means_choose():
    names = ("epochs", "lr", "mean", "padding", "weights", "workers")
    assert options_from(dict.fromkeys(names)) == TrainOptions()


def test_numpy_numbers_are_numbers():
    options = options_from({"epochs": np.int64(3), "lr": np.float64(0.1), "weight_decay": 0})
    assert (options.epochs, options.lr, options.weight_decay) == (3, 0.1, 0)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("epochs", 0, "1 or more"),
        ("epochs", 2.5, "whole number"),
        ("epochs", "3", "whole number"),
        ("epochs", True, "whole number"),
        ("batch_size", -4, "1 or more"),
        ("image_size", 0, "1 or more"),
        ("accumulate", 0, "1 or more"),
        ("patience", 0, "1 or more"),
        ("seed", -1, "0 or more"),
        ("workers", -1, "0 or more"),
        ("warmup_steps", -1, "0 or more"),
        ("validate_every", 0, "1 or more"),
        ("lr", 0.0, "above 0"),
        ("lr", -1e-3, "above 0"),
        ("lr", math.nan, "finite"),
        ("lr", math.inf, "finite"),
        ("lr", "fast", "finite number"),
        ("weight_decay", -0.1, "0 or more"),
        ("clip_norm", -1.0, "0 for no limit"),
        ("clip_value", 0.0, "above 0"),
        ("ema", 1.0, "below 1"),
        ("augment", 1.5, "from 0 to 1"),
        ("augment", math.nan, "from 0 to 1"),
        ("mosaic", 2, "from 0 to 1"),
        ("mixup", -0.5, "from 0 to 1"),
        ("copy_paste", "all", "finite number"),
        ("mean", (0.5, 0.5), "three finite numbers"),
        ("mean", 0.5, "three finite numbers"),
        ("mean", (0.5, 0.5, math.nan), "three finite numbers"),
        ("std", (0.2, 0.0, 0.2), "above 0"),
        ("padding", "valid", "'torch' or 'same'"),
        ("sampler", "sequential", "'repeat_factor'"),
        ("milestones", (0,), "from 1 on"),
        ("milestones", 5, "from 1 on"),
    ],
)
def test_values_out_of_range(name, value, expected):
    with pytest.raises(ConfigError, match=expected) as caught:
        options_from({name: value})
    assert str(caught.value).startswith(f"{name} must be")
    assert repr(value) in str(caught.value)
