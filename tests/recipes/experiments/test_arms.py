"""Which configurations are compared (SYS-335, Q-012)."""

from itertools import pairwise

import pytest

from snellen.errors import ConfigError
from snellen.recipes import TrainOptions
from snellen.recipes.experiments.arms import BASE, changed, full_grid, single_changes

VARY = {"optimizer": ["sgd", "adamw"], "settings.x": [1, 2, 3]}


def test_full_grid_has_every_combination_and_begins_with_the_first_values():
    arms = full_grid(VARY)
    assert len(arms) == 6
    assert arms[0].options == {"optimizer": "sgd", "settings.x": 1}
    assert len({arm.name for arm in arms}) == 6


def test_single_changes_differ_from_the_base_in_one_thing_each():
    """ERR-170: an ablation changes one thing and keeps the others, not the other way round."""
    arms = single_changes(VARY)
    assert arms[0].name == BASE
    assert not arms[0].options
    assert [len(arm.options) for arm in arms[1:]] == [1] * 5


def test_changes_reach_options_of_the_training_and_of_the_model():
    base = TrainOptions(model="resnet18", model_options={"label_smoothing": 0.1, "zero_init": True})
    made = changed(base, {"weight-decay": 0.5, "label_smoothing": 0.0, "answer.objective.gamma": 1.0, "loss": "focal"})
    assert made.weight_decay == 0.5
    assert made.model_options == {
        "label_smoothing": 0.0, "zero_init": True, "answer.objective.gamma": 1.0, "loss": "focal"
    }  # fmt: skip
    back = changed(made, {"loss": "cross_entropy"})
    assert back.model_options["loss"] == "cross_entropy"
    assert base.model_options == {"label_smoothing": 0.1, "zero_init": True}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimzer": "sgd"}, "Did you mean 'optimizer'"),
        ({"lable_smoothing": 0.1}, "Did you mean 'label_smoothing'"),
        ({"lr": -1}, "lr must be a finite number above 0"),
    ],
)
def test_what_cannot_be_is_told_before_any_training(changes, message):
    with pytest.raises(ConfigError, match=message):
        changed(TrainOptions(model="resnet18"), changes)


@pytest.mark.parametrize(("vary", "message"), [({}, "something to vary"), ({"lr": []}, "must have values"),
                                               ({"seed": [1, 2]}, "Give --seeds")])  # fmt: skip
def test_what_does_not_vary_is_refused(vary, message):
    for make in (full_grid, single_changes):
        with pytest.raises(ConfigError, match=message):
            make(vary)


def test_the_same_call_gives_the_same_names():
    first, second = full_grid(VARY), full_grid(VARY)
    assert [arm.name for arm in first] == [arm.name for arm in second]
    assert all(one.name != other.name for one, other in pairwise(first))
