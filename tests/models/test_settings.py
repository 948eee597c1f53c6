"""Settings inside a model, by path."""

import pytest

from snellen.errors import ConfigError
from snellen.models import change_settings, find_model, settings_of


@pytest.fixture
def model():
    return find_model("faster_rcnn_r18_fpn").build(2)


def test_settings_are_found_at_every_depth(model):
    found = settings_of(model)
    assert found["settings.selection.nms_iou"] == 0.5
    assert found["proposals.settings.nms_iou"] == 0.7


def test_a_change_reaches_the_model_and_nothing_else(model):
    before = settings_of(model)
    change_settings(model, {"settings.selection.nms_iou": 0.4, "proposals.settings.slots": 64})
    after = settings_of(model)
    assert {path: value for path, value in after.items() if value != before[path]} == {
        "settings.selection.nms_iou": 0.4,
        "proposals.settings.slots": 64,
    }
    assert model.settings.selection.nms_iou == 0.4


def test_an_unknown_path_is_answered_with_a_near_one(model):
    with pytest.raises(ConfigError, match=r"no setting 'settings.selection.nms_io'.*nms_iou"):
        change_settings(model, {"settings.selection.nms_io": 0.4})


@pytest.mark.parametrize("value", ["high", True, [0.5]])
def test_a_value_of_another_kind(model, value):
    with pytest.raises(ConfigError, match=r"must be like its value 0.5"):
        change_settings(model, {"settings.selection.nms_iou": value})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("settings.selection.suppression", "sof", "must be one of 'nms', 'soft_linear', 'soft_gaussian'"),
        ("settings.mining", "ohm", "must be one of 'ohem', 'ohem_two_pass'"),
        ("settings.class_loss", "focl", "must be one of"),
        ("settings.slots", 64.5, "must be a whole number"),
    ],
)
def test_a_mistyped_word_does_not_train_something_else(model, path, value, message):
    with pytest.raises(ConfigError, match=message):
        change_settings(model, {path: value})


def test_none_is_a_word_where_it_may_be(model):
    change_settings(model, {"settings.mining": "ohem"})
    change_settings(model, {"settings.mining": None})
    assert model.settings.mining is None
