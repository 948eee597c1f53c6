"""Settings inside a model, by path."""

import pytest

from snellen.errors import ConfigError
from snellen.models import MODELS, builder_options, change_settings, find_model, settings_of


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


@pytest.mark.parametrize(
    ("name", "path", "keyword"),
    [
        ("hog_svm", "settings.margin_cells", "margin_cells"),
        ("hog_svm", "settings.hog.bins", "bins"),
        ("hog_svm", "settings.hog.block_step", "block_step"),
        ("ssd_mobilenet_v2", "head.boxes.aspect_ratios", "aspect_ratios"),
        ("ssd_mobilenet_v2", "head.boxes.scales", "scales"),
    ],
)
def test_what_shapes_the_network_is_given_to_its_builder(name, path, keyword):
    entry = find_model(name)
    built = entry.build(2)
    assert path not in settings_of(built)
    assert keyword in builder_options(entry)
    with pytest.raises(ConfigError, match=rf"{path!r} shapes the network.*{keyword!r} to the builder.*--set {keyword}"):
        change_settings(built, {path: 3})


def test_image_size_has_an_option_of_its_own():
    with pytest.raises(ConfigError, match=r"'head.boxes.steps' shapes.*\(in a run: --image-size\)"):
        change_settings(find_model("ssd300").build(2), {"head.boxes.steps": None})


@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry.name)
def test_what_shapes_a_network_is_there(entry):
    for module in entry.build(2).modules():
        for path, keyword in getattr(type(module), "shaped_by", {}).items():
            owner = module
            for part in path.split("."):
                owner = getattr(owner, part)
            assert keyword in builder_options(entry)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("settings.selection.nms_iou", 7, "nms_iou must be a number from 0 to 1; got 7"),
        ("settings.selection.score_above", -1, "score_above must be a number from 0 to 1; got -1"),
        ("settings.selection.max_detections", 0, "max_detections must be a whole number of 1 or more; got 0"),
        ("settings.selection.before_nms", 0, "before_nms must be a whole number of 1 or more"),
        ("settings.selection.soft_sigma", 0.0, "soft_sigma must be a number above 0"),
        ("settings.selection.voting_iou", 1.5, "voting_iou must be a number from 0 to 1"),
        ("settings.slots", 0, "slots must be a whole number of 1 or more"),
        ("settings.positive_from", float("nan"), "positive_from must be a number from 0 to 1; got nan"),
        ("settings.negative_below", "low", "negative_below must be a number from 0 to 1; got 'low'"),
        ("settings.positive_share", 25, "positive_share must be a number from 0 to 1"),
        ("settings.box_weight", -1.0, "box_weight must be a number of 0 or more"),
        ("proposals.settings.nms_iou", -0.1, "nms_iou must be a number from 0 to 1"),
        ("proposals.settings.after_nms_test", 0, "after_nms_test must be a whole number of 1 or more"),
    ],
)
def test_a_number_out_of_its_range(model, path, value, expected):
    with pytest.raises(ConfigError, match=expected):
        change_settings(model, {path: value})


@pytest.mark.parametrize("value", [None, 1])
def test_what_may_be_none_and_the_ends_of_a_range_pass(model, value):
    change_settings(model, {"settings.selection.voting_iou": value, "settings.selection.before_nms": value})
    change_settings(model, {"settings.negative_below": value})
