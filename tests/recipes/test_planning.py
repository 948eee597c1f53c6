"""Defaults: each with a reason, each overruled by what was given."""

import os
from dataclasses import replace

import pytest

from snellen.data import DataDescription
from snellen.errors import ConfigError
from snellen.recipes.options import options_from
from snellen.recipes.planning import chosen_device, make_plan
from snellen.structures import BoxTarget, ClassTarget, MaskTarget

CPU = {"device": "cpu"}


def description(**changes):
    side = (480.0, 480.0, 480.0)
    made = DataDescription(
        format="coco",
        root="data",
        classes=("cat", "dog"),
        target_type="BoxTarget",
        num_images=1000,
        images_per_split={"train": 1000},
        objects_per_class={"train": {"cat": 1, "dog": 1}},
        images_without_objects={"train": 0},
        image_heights=side,
        image_widths=side,
        box_size_px=(90.0, 95.0, 100.0, 105.0, 110.0),
        problems_per_code={},
    )
    return replace(made, **changes)


def plan(target_type=BoxTarget, num_train=1000, told=None, **options):
    return make_plan(told or description(), target_type, num_train, options_from({**CPU, **options}))


@pytest.mark.parametrize("target_type", [BoxTarget, ClassTarget, MaskTarget])
def test_every_choice_has_a_reason(target_type):
    made = plan(target_type)
    assert made.model.target_type is target_type
    chosen = {
        "augment", "batch_size", "channels_last", "clip_norm", "device", "ema", "epochs", "flip", "image_size", "lr",
        "model", "optimizer", "precision", "sampler", "schedule", "validate_every", "warmup_steps", "weight_decay",
        "workers",
    }  # fmt: skip
    assert set(made.reasons) == chosen
    assert all(len(reason) > 4 for reason in made.reasons.values())
    assert made.reasons["device"] == "given"
    assert [name for name in chosen - {"device"} if made.reasons[name] == "given"] == []


GIVEN = {
    "model": "faster_rcnn_r50_fpn",
    "image_size": 128,
    "batch_size": 3,
    "epochs": 7,
    "lr": 0.123,
    "optimizer": "sgd",
    "schedule": "constant",
    "weight_decay": 0.02,
    "warmup_steps": 9,
    "clip_norm": 2.0,
    "ema": 0.5,
    "precision": "fp32",
    "augment": 0.75,
    "flip": False,
    "workers": 3,
    "validate_every": 2,
    "sampler": "class_balanced",
}


def test_given_values_win():
    made = plan(**GIVEN)
    settings = made.settings
    assert made.model.name == "faster_rcnn_r50_fpn"
    assert (made.image_size, made.batch_size, made.augment, made.flip, made.workers) == (128, 3, 0.75, False, 3)
    assert made.sampler == "class_balanced"
    assert (settings.epochs, settings.lr, settings.optimizer, settings.schedule) == (7, 0.123, "sgd", "constant")
    assert (settings.weight_decay, settings.warmup_steps, settings.clip_norm) == (0.02, 9, 2.0)
    assert (settings.ema_decay, settings.precision, settings.validate_every) == (0.5, "fp32", 2)
    assert {made.reasons[name] for name in GIVEN} == {"given"}


def test_zero_switches_off():
    settings = plan(clip_norm=0, ema=0).settings
    assert settings.clip_norm is None
    assert settings.ema_decay is None


def test_one_way_of_clipping_stands_in_for_the_other():
    """SYS-189, SYS-190: numbers are cut where that is asked for; both limits hold where both are."""
    usual, cut = plan(), plan(clip_value=0.5)
    assert (usual.settings.clip_norm, usual.settings.clip_value) == (10.0, None)
    assert (cut.settings.clip_norm, cut.settings.clip_value) == (None, 0.5)
    assert "clip_value" in cut.reasons["clip_norm"]
    both = plan(clip_value=0.5, clip_norm=2.0).settings
    assert (both.clip_norm, both.clip_value) == (2.0, 0.5)


def test_false_is_an_answer():
    assert plan(flip=False, workers=0).workers == 0


def test_model_of_another_kind():
    with pytest.raises(
        ConfigError, match=r"'resnet18' learns from ClassTarget; the data set has BoxTarget.*Try model="
    ):
        plan(model="resnet18")


def test_unknown_model():
    with pytest.raises(ConfigError, match=r"faster_rcnn_r18_fpn"):
        plan(model="faster_rcnn_r18_fpm")


def test_small_objects_raise_the_size():
    usual = plan()
    side = (1000.0, 1000.0, 1000.0)
    small = plan(told=description(image_heights=side, image_widths=side, box_size_px=(10.0, 20.0, 30.0, 40.0, 50.0)))
    assert usual.image_size < small.image_size <= 1000
    assert small.image_size % 32 == 0
    assert "smallest objects" in small.reasons["image_size"]


def test_small_images_are_not_enlarged():
    made = plan(told=description(image_heights=(100.0, 100.0, 100.0), box_size_px=(9.0, 9.0, 9.0, 9.0, 9.0)))
    assert made.image_size == 96
    assert "100 px" in made.reasons["image_size"]


def test_sizes_unknown():
    made = plan(told=description(image_heights=(), image_widths=(), box_size_px=()))
    assert made.image_size == plan().image_size


def test_letters_are_not_mirrored():
    letters = plan(told=description(classes=("b", "d")))
    assert not letters.flip
    assert "single characters" in letters.reasons["flip"]
    assert plan().flip


def test_few_images_small_batches():
    assert plan(num_train=1000).batch_size == 4
    few = plan(num_train=17)
    assert few.batch_size == 2
    assert "few images (17)" in few.reasons["batch_size"]
    assert plan(num_train=1).batch_size == 1


def test_rate_follows_the_batch():
    assert plan(batch_size=16).settings.lr == pytest.approx(2 * plan(batch_size=4).settings.lr)
    by_sgd = [plan(batch_size=size, optimizer="sgd").settings.lr for size in (4, 8)]
    assert by_sgd[1] == pytest.approx(2 * by_sgd[0])
    assert plan(batch_size=4, accumulate=4).settings.lr == pytest.approx(plan(batch_size=16).settings.lr)


def test_weights_change_the_choices(tmp_path):
    made = plan(weights=tmp_path / "some.pth")
    assert made.settings.optimizer == "sgd"
    assert made.frozen_norm
    assert "frozen_norm" in made.reasons
    assert not plan().frozen_norm


def test_more_images_fewer_epochs():
    epochs = [plan(num_train=count).settings.epochs for count in (10, 500, 5_000, 100_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] == 100
    assert epochs[-1] == 4


def test_multistep_needs_milestones():
    with pytest.raises(ConfigError, match=r"milestones"):
        plan(schedule="multistep")
    assert plan(schedule="multistep", milestones=(2, 3)).settings.milestones == (2, 3)


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "cpu:x"])
def test_wrong_device(name):
    with pytest.raises(ConfigError, match=r"device must be one that torch can use here.*Leave it out"):
        chosen_device(name)


def test_planning_leaves_the_cores_alone():
    made = plan()
    assert 0 <= made.workers <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("epochs", "strength"), [(4, 0.0), (10, 0.0), (30, 0.125), (50, 0.25), (90, 0.25)])
def test_few_epochs_get_little_augmentation(epochs, strength):
    assert plan(epochs=epochs).augment == pytest.approx(strength)
    assert plan(ClassTarget, epochs=epochs).augment == 0.5


@pytest.mark.parametrize(
    ("model", "short", "size", "reason"),
    [
        ("inception_v3", 32.0, 75, "least that the network takes"),
        ("alexnet", 32.0, 64, "own short side is 32 px"),
        ("lenet5", 480.0, 32, "size that the network is made for"),
    ],
)
def test_a_network_gets_images_that_are_large_enough(model, short, size, reason):
    """SYS-067, SYS-068, SYS-076: networks that pad less have no cell left on small images."""
    side = (short,) * 3
    made = plan(ClassTarget, told=description(image_heights=side, image_widths=side), model=model)
    assert made.image_size == size
    assert reason in made.reasons["image_size"]


@pytest.mark.parametrize(("model", "lr"), [("vgg16", 3e-4), ("vgg16_bn", 1e-3), ("nin", 1e-4), ("resnet18", 1e-3)])
def test_networks_without_norms_start_at_lower_rates(model, lr):
    made = plan(ClassTarget, model=model, batch_size=16)
    assert made.settings.lr == pytest.approx(lr)
    assert f"{lr:g} for 16 images" in made.reasons["lr"]
