"""Any backbone in any system (SYS-068 to SYS-088)."""

import pytest
import torch
import torchvision
from torch import nn

from snellen.errors import CheckpointError, ConfigError
from snellen.models import MODELS, builder_options, find_model, load_weights, usual_norm
from snellen.models.backbones import (
    BACKBONES,
    Backbone,
    chosen_backbone,
    cut_behind,
    find_backbone,
    own_norm,
    pyramid_backbone,
)
from snellen.models.segmentation.classical import CLASSICAL_SEGMENTERS
from snellen.nn import FrozenBatchNorm, Normalize
from snellen.recipes.zoo import backbone_families
from snellen.structures import ClassTarget, ImageBatch, MaskTarget, Regions

SIDE = 64
SYSTEMS = [entry for entry in MODELS if "backbone" in builder_options(entry)]
# With batch norm, without any, one of timm's that begins at stride 4, and one that offers two maps alone.
NETWORKS = ("resnet18", "vgg11", "timm:convnext_atto", "ssd_vgg16")
# Of each family one row, and those of which building alone takes seconds.
FAMILIES = (
    "resnet18", "unet_resnet18", "rcnn_mobilenet_v2", "sppnet_mobilenet_v2", "fast_rcnn_mobilenet_v2",
    "faster_rcnn_mobilenet_v2_c4", "faster_rcnn_mobilenet_v2_c4_alternating", "faster_rcnn_r18_fpn",
    "mask_rcnn_mobilenet_v2_fpn", "yolo_v1_mobilenet_v2", "yolo_v2_mobilenet_v2", "yolo_v3_mobilenet_v2",
    "yolo_v3_tiny", "ssd300", "ssd_mobilenet_v2", "retinanet_mobilenet_v2_fpn", "fcn_8s_mobilenet_v2",
    "segnet_mobilenet_v2", "deeplab_v3_mobilenet_v2", "deeplab_v3_plus_mobilenet_v2", "pspnet_mobilenet_v2",
)  # fmt: skip


def blank(entry, *, num: int = 1, side: int = SIDE) -> ImageBatch:
    generator = torch.Generator().manual_seed(0)
    boxes = torch.tensor([[3.0, 5, 42, 45], [18, 18, 61, 58], [0, 0, 64, 64]]).expand(num, 3, 4)
    regions = Regions(boxes=boxes, valid=torch.ones(num, 3, dtype=torch.bool))
    return ImageBatch(
        pixels=torch.randint(0, 256, (num, 3, side, side), dtype=torch.uint8, generator=generator),
        sizes=torch.full((num, 2), side),
        original_sizes=torch.full((num, 2), side),
        regions=regions if entry.regions else None,
    )


def built(entry, name: str, **options) -> nn.Module:
    return entry.build(2, backbone=name, **({"image_size": SIDE} if entry.sized else {}), **options)


@torch.no_grad()
def check_pair(entry, name: str) -> None:
    """A system says something with a network, or says which maps it lacks."""
    torch.manual_seed(0)
    try:
        model = built(entry, name).eval()
    except ConfigError as error:
        if name != "ssd_vgg16" or "lacks c" not in str(error):
            raise
        return
    images = blank(entry)
    found = model.decode(model(images), images.original_sizes)
    assert len(found) == 1
    if entry.target_type is MaskTarget:
        assert found[0].labels.shape == (SIDE, SIDE)
    networks = [module for module in model.modules() if isinstance(module, Backbone)]
    assert any(type(module) is type(find_or_make(name)) for module in networks)


def find_or_make(name: str) -> Backbone:
    if name not in _MADE:
        _MADE[name] = chosen_backbone(name, usual="")
    return _MADE[name]


_MADE: dict[str, Backbone] = {}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_stands_on_every_kind_of_network(family, name):
    check_pair(find_model(family), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("entry", SYSTEMS, ids=lambda entry: entry.name)
def test_every_system_stands_on_every_kind_of_network(entry, name):
    check_pair(entry, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("system", ["resnet18", "unet_resnet18", "faster_rcnn_mobilenet_v2_c4"])
def test_every_backbone_carries_a_classifier_a_segmenter_and_a_detector(system, name):
    entry = find_model(system)
    torch.manual_seed(0)
    try:
        model = built(entry, name).eval()
    except ConfigError as error:
        if " lacks c" not in str(error):
            raise
        return
    images = blank(entry)
    with torch.no_grad():
        assert len(model.decode(model(images), images.original_sizes)) == 1


def test_most_systems_take_a_backbone():
    without = {entry.name for entry in MODELS if entry not in SYSTEMS and entry.target_type is not ClassTarget}
    without -= {entry.name for entry in CLASSICAL_SEGMENTERS}  # there is no network in them
    of_one_network = {"rcnn_alexnet", "rcnn_vgg16", "faster_rcnn_r50_c4", "unet_paper", "unet_paper_small"}
    assert without <= of_one_network | {name for name in without if "svm" in name}


@pytest.mark.parametrize(
    "family",
    ["faster_rcnn_mobilenet_v2_c4", "yolo_v2_mobilenet_v2", "unet_resnet18", "ssd300", "deeplab_v3_plus_mobilenet_v2"],
)
@pytest.mark.parametrize("name", ["resnet18", "timm:resnet10t"])
def test_every_parameter_learns(family, name):
    """What comes after the last map that is looked at is left out, so that nothing idle is decayed or counted."""
    entry = find_model(family)
    torch.manual_seed(0)
    backbone = built(entry, name).backbone
    maps = backbone.train()(torch.randn(2, 3, SIDE, SIDE))
    assert list(maps) == [spec.name for spec in backbone.features]
    sum(each.square().sum() for each in maps.values()).backward()
    idle = [key for key, value in backbone.named_parameters() if value.grad is None]
    assert idle == []


# One of each family; the others differ in their numbers alone.
KINDS = (
    "resnet18", "resnetv2_18", "resnext50_32x4d", "seresnet18", "cifar_resnet20", "densenet121", "squeezenet1_1",
    "mobilenet_v2", "shufflenet_v1_g3_x0_5", "shufflenet_v2_x0_5", "efficientnet_b0",
    "mobilenet_v3_small", "lenet5", "alexnet", "caffenet",
    "zfnet", "vgg11", "ssd_vgg16", "nin", "googlenet", "inception_v2", "inception_v3", "xception", "darknet_tiny_v2",
)  # fmt: skip


def test_kinds_are_of_every_family():
    without = {family for family, names in backbone_families().items() if not set(names) & set(KINDS)}
    # Layers of Darknet, 300 MB; variants of ResNet; VGG with its wide layers, 540 MB.
    assert without <= {"yolo_v1_net", "waist_net", "wide_resnet", "fcn_vgg"}


@pytest.mark.parametrize("name", KINDS)
def test_a_network_that_is_cut_gives_the_maps_of_the_whole_one(name):
    torch.manual_seed(0)
    whole = find_backbone(name)().eval()
    names = [spec.name for spec in whole.features]
    cut = find_backbone(name)().eval()
    cut_behind(cut, names[-2])
    cut.load_state_dict({key: value for key, value in whole.state_dict().items() if key in cut.state_dict()})
    side = max(SIDE, whole.least_size)
    x = torch.randn(1, 3, side, side)
    with torch.no_grad():
        wanted, found = whole(x), cut(x)
    assert list(found) == [spec.name for spec in cut.features] == names[:-1]
    for feature in names[:-1]:
        assert torch.equal(found[feature], wanted[feature])
    idle = [id(p) for module in whole.stage_modules()[names[-1]] for p in module.parameters()]
    assert len(list(cut.parameters())) == len(list(whole.parameters())) - len(idle)


def test_cutting_needs_a_feature_that_is_there():
    with pytest.raises(ConfigError, match=r"no feature 'c9'; it has c1 \(stride 2\)"):
        cut_behind(find_backbone("resnet18")(), "c9")


def test_unknown_backbone_is_answered_with_a_near_one():
    """DX: the error names what can be typed instead."""
    with pytest.raises(ConfigError, match=r"no backbone 'resnet-18'.*'resnet18'.*timm:NAME"):
        find_model("faster_rcnn_r18_fpn").build(2, backbone="resnet-18")


def test_lacking_maps_are_named_with_those_that_are_there():
    with pytest.raises(
        ConfigError, match=r"'ssd_vgg16' lacks c5: it has c3 \(stride 8\), c4 \(stride 16\), and c3, c4"
    ):
        find_model("retinanet_r18_fpn").build(2, backbone="ssd_vgg16")
    model = find_model("retinanet_r18_fpn").build(2, backbone="ssd_vgg16", levels=("c3", "c4"))
    assert model.stride == 16


@pytest.mark.parametrize("levels", [(), ("c5", "c3"), ("c3", "c3")])
def test_levels_must_rise(levels):
    with pytest.raises(ConfigError, match="levels must be names of features, finest first"):
        pyramid_backbone("resnet18", levels, usual="resnet18", norm=nn.BatchNorm2d)


def test_padding_that_a_backbone_does_not_know():
    with pytest.raises(ConfigError, match=r"padding must be 'torch' for resnet18; got 'same'.*mobilenet_v2"):
        find_model("ssd_mobilenet_v2").build(2, backbone="resnet18", padding="same")
    model = find_model("ssd300").build(2, backbone="mobilenet_v2", padding="same")
    assert any(type(module).__name__ == "SameConv2d" for module in model.modules())


@pytest.mark.parametrize(
    ("system", "name", "norm"),
    [
        ("faster_rcnn_r18_fpn", "vgg11", nn.Identity),  # published without: none is put in
        ("ssd300", "resnet18", nn.BatchNorm2d),  # published with: SSD's "none" does not take them out
        ("faster_rcnn_r18_fpn", "mobilenet_v2", nn.BatchNorm2d),
    ],
)
def test_a_network_in_the_place_of_another_keeps_its_own_norms(system, name, norm):
    model = find_model(system).build(2, backbone=name)
    found = {type(module) for module in model.backbone.modules() if "BatchNorm" in type(module).__name__}
    assert found == ({norm} if norm is not nn.Identity else set())


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "timm:resnet10t"])
def test_frozen_norms_reach_the_chosen_backbone(name):
    model = find_model("faster_rcnn_r18_fpn").build(2, backbone=name, norm=FrozenBatchNorm)
    kinds = {type(module).__name__ for module in model.backbone.modules() if "BatchNorm" in type(module).__name__}
    assert kinds
    assert all("Frozen" in kind for kind in kinds)


@pytest.mark.parametrize(
    ("options", "norm"),
    [({}, nn.BatchNorm2d), ({"backbone": "vgg11"}, None), ({"backbone": "darknet53"}, nn.BatchNorm2d)],
)
def test_usual_norm_is_that_of_the_chosen_backbone(options, norm):
    assert usual_norm(find_model("faster_rcnn_r18_fpn"), options) is norm


def test_usual_norm_of_timms_networks():
    assert own_norm("timm:resnet10t") is nn.BatchNorm2d
    assert own_norm("timm:convnext_atto") is None


@pytest.mark.parametrize(
    ("system", "name", "mean"),
    [
        ("yolo_v3", "darknet53", (0.0, 0.0, 0.0)),
        ("yolo_v3", "resnet18", (0.485, 0.456, 0.406)),
        ("faster_rcnn_r18_fpn", "darknet19", (0.0, 0.0, 0.0)),
        ("ssd300", "ssd_vgg16", (0.48235, 0.45882, 0.40784)),
        ("ssd300", "mobilenet_v2", (0.485, 0.456, 0.406)),
        ("faster_rcnn_mobilenet_v2_fpn", "timm:mobilevit_xxs", (0.0, 0.0, 0.0)),
    ],
)
def test_images_are_normalised_as_the_backbones_weights_expect(system, name, mean):
    assert find_model(system).build(2, backbone=name).normalize.mean == pytest.approx(mean)


def test_mean_and_std_that_are_given_win():
    model = find_model("yolo_v3_tiny").build(2, backbone="resnet18", mean=(0.5,) * 3, std=(0.25,) * 3)
    assert isinstance(model.normalize, Normalize)
    assert (model.normalize.mean, model.normalize.std) == ((0.5,) * 3, (0.25,) * 3)


# Where the weights of a network's convolutions lie in each system.
PLACES = {
    "resnet18": "backbone.", "unet_resnet18": "backbone.", "rcnn_mobilenet_v2": "region_features.network.",
    "sppnet_mobilenet_v2": "backbone.network.", "fast_rcnn_mobilenet_v2": "backbone.",
    "faster_rcnn_mobilenet_v2_c4_alternating": "backbone.", "faster_rcnn_r18_fpn": "backbone.", "ssd300": "backbone.",
    "yolo_v2_mobilenet_v2": "backbone.", "yolo_v1_mobilenet_v2": "backbone.", "fcn_8s_mobilenet_v2": "backbone.",
    "segnet_mobilenet_v2": "backbone.", "deeplab_v3_mobilenet_v2": "backbone.", "pspnet_mobilenet_v2": "backbone.",
}  # fmt: skip


@pytest.mark.parametrize(
    ("system", "name"),
    [*((system, "resnet18") for system in PLACES), ("rcnn_mobilenet_v2", "alexnet"), ("ssd300", "mobilenet_v2")],
)
def test_foreign_weights_reach_the_chosen_backbone(system, name, tmp_path):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(weights=None)
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    model = built(find_model(system), name)
    report = load_weights(model, tmp_path / "net.pth")
    place = PLACES[system]
    assert not [key for key in report.missing if key.startswith(place)]
    assert any(key.startswith(place) for key in report.loaded)
    first = next(value for value in theirs.state_dict().values() if value.dim() == 4)
    assert any(torch.equal(value, first) for key, value in model.state_dict().items() if value.shape == first.shape)
    if system.endswith("alternating"):
        assert not [key for key in report.missing if key.startswith("first_backbone.")]


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"nowhere.weight": torch.zeros(2, 2)}, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="no key fits"):
        load_weights(find_model("faster_rcnn_r18_fpn").build(2, backbone="vgg11"), tmp_path / "net.pth")
