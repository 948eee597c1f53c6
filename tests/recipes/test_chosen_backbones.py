"""Runs whose backbone was chosen: trained, written down, loaded, resumed, used."""

import json

import pytest
import timm
import torch
import torchvision

import snellen
from snellen.errors import ConfigError
from snellen.models import find_model
from snellen.recipes import describe, family_of, found_models, measured_fields
from snellen.recipes.options import options_from
from snellen.recipes.planning import make_plan
from snellen.recipes.preparing import prepare_training
from snellen.recipes.session import Session
from snellen.recipes.zoo import backbone_families


def last_of(run: snellen.Run) -> dict:
    return torch.load(run.folder / "checkpoints" / "last.pt", weights_only=True)


@pytest.mark.parametrize(
    ("kind", "model", "backbone"),
    [
        ("classes", "resnet18", "timm:resnet10t"),
        ("masks", "unet_resnet18", "timm:convnext_atto"),
        ("boxes", "retinanet_mobilenet_v2_fpn", "shufflenet_v2_x0_5"),
    ],
)
def test_a_run_keeps_its_backbone(kind, model, backbone, charts, tiny, tmp_path):
    options = {**tiny, "epochs": 1, "model": model, "model_options": {"backbone": backbone}}
    run = snellen.train(charts[kind], folder=tmp_path / "run", **options)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["model"], record["model_options"]["backbone"]) == (model, backbone)
    loaded = snellen.Run.open(run.folder).load()
    wanted = find_model(model).build(2, backbone=backbone)
    assert loaded.state_dict().keys() == wanted.state_dict().keys()
    again = snellen.evaluate(run.folder).scalars
    assert again == pytest.approx(run.results["test"].scalars, nan_ok=True)


def test_resume_goes_on_with_the_same_backbone(charts, tiny, tmp_path):
    options = {**tiny, "model": "resnet18", "model_options": {"backbone": "lenet5_modern"}}
    whole = snellen.train(charts["classes"], folder=tmp_path / "whole", **options)

    def broken_off(*_arguments, **_keywords):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "train", broken_off)
        with pytest.raises(KeyboardInterrupt):
            snellen.train(charts["classes"], folder=tmp_path / "run", **options)
    resumed = snellen.resume(tmp_path / "run")
    for key, value in last_of(whole)["model"].items():
        assert torch.equal(last_of(resumed)["model"][key], value), key


def test_foreign_weights_begin_a_run(charts, tiny, tmp_path):
    torch.manual_seed(0)
    theirs = timm.create_model("resnet10t")
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    options = {
        "model": "faster_rcnn_mobilenet_v2_fpn",
        "weights": tmp_path / "net.pth",
        "model_options": {"backbone": "timm:resnet10t"},
    }
    ready = prepare_training(charts["boxes"], options_from({**tiny, **options}))
    assert ready.plan.frozen_norm
    assert not [key for key in ready.weights.missing if key.startswith("backbone.")]
    kinds = {type(module).__name__ for module in ready.model.backbone.modules()}
    assert not kinds & {"BatchNorm2d", "BatchNormAct2d"}


def test_norms_are_frozen_only_where_the_chosen_network_has_any(charts, tiny, tmp_path):
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "net.pth")
    index = snellen.load(charts["boxes"])
    for backbone, frozen in (("squeezenet1_1", False), ("mobilenet_v2", True), ("timm:convnext_atto", False)):
        options = {"model": "fast_rcnn_mobilenet_v2", "weights": tmp_path / "net.pth"}
        options["model_options"] = {"backbone": backbone}
        plan = make_plan(index.describe(), index.target_type, 8, options_from({**tiny, **options}))
        assert plan.frozen_norm is frozen, backbone


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"backbone": "resnet19"}, "no backbone 'resnet19'.*resnet18"),
        ({"backbone": 18}, "must be like its default 'mobilenet_v2'; got 18"),
        ({"backbone": "ssd_vgg16"}, "lacks c5"),
        ({"levels": "c3"}, "must be like its default"),
        ({"levels": []}, "finest first"),
        ({"bakbone": "resnet18"}, "has no option 'bakbone'.*backbone"),
    ],
)
def test_bad_choices_are_answered_before_the_training(options, told, charts, tiny):
    with pytest.raises(ConfigError, match=told):
        prepare_training(
            charts["boxes"], options_from({**tiny, "model": "retinanet_mobilenet_v2_fpn", "model_options": options})
        )


def test_a_model_without_a_choice_says_so():
    with pytest.raises(ConfigError, match="'faster_rcnn_r50_c4' has no option 'backbone'"):
        describe("faster_rcnn_r50_c4", options={"backbone": "resnet18"})


def test_describe_takes_models_backbones_and_timms():
    assert describe("ssd_vgg16", size=64).features[-1].receptive_field_px == 420
    assert describe("timm:resnet10t", size=64).num_parameters > 4e6
    swapped = describe("resnet18", size=64, options={"backbone": "mobilenet_v2"})
    assert swapped.features[-1].channels == 1280
    with pytest.raises(ConfigError, match="takes no options here; got padded"):
        describe("ssd_vgg16", options={"padded": True})
    with pytest.raises(ConfigError, match="Did you mean 'ssd_vgg16'"):
        describe("ssd_vgg_16")


def test_families():
    assert family_of(find_model("unet_resnet34")) == "unet"
    assert family_of(find_model("faster_rcnn_r50_fpn")) == "faster_rcnn"
    assert "resnet34" in backbone_families()["resnet"]
    assert {entry.name for entry in found_models(task="mask", word="RESNET34")} == {"unet_resnet34"}
    assert {family_of(entry) for entry in found_models(task="mask", word="DEEPLAB")} == {
        "deeplab_v3",
        "deeplab_v3_plus",
    }
    with pytest.raises(ConfigError, match="no model that learns 'mask' with 'ssd'"):
        found_models(task="mask", word="ssd")


def test_fields_of_trained_weights(tmp_path):
    torch.save(find_model("lenet5").build(2).state_dict(), tmp_path / "net.pth")
    fields = measured_fields("lenet5", weights=tmp_path / "net.pth")
    assert [field.name for field in fields] == ["c1", "c2"]
    assert [field.theory_px for field in fields] == [14, 16]
    with pytest.raises(ConfigError, match="no maps of features"):
        measured_fields("timm:resnet10t")
