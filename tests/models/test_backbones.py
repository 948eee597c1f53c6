import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from snellen.errors import ConfigError
from snellen.models.backbones import (
    BACKBONES,
    Bottleneck,
    ResNet,
    darknet_tiny_v3,
    find_backbone,
    freeze_stages,
    mobilenet_v2,
    picked_features,
    resnet18,
)
from snellen.nn import FrozenBatchNorm

PUBLISHED = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2")
RESNET_NODES = {"c1": "relu", "c2": "layer1", "c3": "layer2", "c4": "layer3", "c5": "layer4"}
MOBILENET_NODES = {f"c{n}": f"features.{index}" for n, index in zip(range(1, 6), (1, 3, 6, 13, 18), strict=True)}
# Drawing their weights takes half a second and more.
LARGE = {
    "resnet101", "resnet152", "resnetv2_101", "resnetv2_152", "wide_resnet50_2", "wide_resnet101_2",
    "resnext101_32x8d", "resnext101_64x4d", "resnext50_32x4d", "seresnet50", "seresnet101", "seresnet152",
    "seresnext50_32x4d", "seresnext101_32x4d", "wrn28_10", "densenet161", "densenet201", "efficientnet_b1",
    "efficientnet_b2", "efficientnet_b3", "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7",
}  # fmt: skip


def with_slow_ones(names):
    return [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in names]


def without_head(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if not key.startswith(("fc.", "classifier."))}


@pytest.mark.parametrize("name", BACKBONES)
def test_maps_are_as_large_as_their_features_say(name):
    """A map has ``ceil(size / stride)`` cells, whatever the size (SYS-068 to SYS-088)."""
    height, width = 37, 66
    with torch.device("meta"):
        backbone = find_backbone(name)().eval()
        maps = backbone(torch.zeros(1, 3, height, width))
    names = [spec.name for spec in backbone.features]
    assert names == sorted(names)
    assert list(maps) == names
    for spec in backbone.features:
        wanted = (1, spec.channels, -(-height // spec.stride), -(-width // spec.stride))
        assert maps[spec.name].shape == wanted, spec.name
        assert spec.stride == 2 ** int(spec.name[1:])


@pytest.mark.parametrize("name", PUBLISHED)
def test_equals_torchvision_feature_by_feature(name):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(weights=None)
    for module in theirs.modules():  # statistics as after training, or the norms would do nothing
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    theirs.eval()
    ours = find_backbone(name)().eval()
    ours.load_state_dict(without_head(theirs.state_dict()))
    nodes = MOBILENET_NODES if name == "mobilenet_v2" else RESNET_NODES
    reference = create_feature_extractor(theirs, {node: feature for feature, node in nodes.items()})
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found, wanted = ours(x), reference(x)
    for spec in ours.features:
        assert found[spec.name].shape[1:] == (spec.channels, 64 // spec.stride, 96 // spec.stride)
        scale = wanted[spec.name].abs().max()
        torch.testing.assert_close(found[spec.name] / scale, wanted[spec.name] / scale, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_keys_and_spread_of_initial_weights_equal_torchvision(name):
    """SYS-205."""
    torch.manual_seed(0)
    theirs = without_head(getattr(torchvision.models, name)(weights=None).state_dict())
    ours = find_backbone(name)().state_dict()
    assert {key: value.shape for key, value in ours.items()} == {k: v.shape for k, v in theirs.items()}
    for key, value in theirs.items():
        if value.dim() == 4:
            assert ours[key].std().item() == pytest.approx(value.std().item(), rel=0.1), key


@pytest.mark.parametrize("build", [resnet18, mobilenet_v2, darknet_tiny_v3])
def test_frozen_norm(build):
    torch.manual_seed(0)
    free, frozen = build().eval(), build(norm=FrozenBatchNorm)
    frozen.load_state_dict(free.state_dict())
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(frozen.train()(x)["c5"], free(x)["c5"], atol=1e-5, rtol=1e-4)
    assert all(p.dim() == 4 for p in frozen.parameters())


@pytest.mark.parametrize("name", with_slow_ones(BACKBONES))
@torch.no_grad()
def test_signals_neither_vanish_nor_explode_in_random_networks(name):
    torch.manual_seed(0)
    last = find_backbone(name)().train()(torch.randn(2, 3, 32, 32))
    assert 1e-3 < list(last.values())[-1].std() < 1e3


@pytest.mark.parametrize("name", BACKBONES)
def test_stage_modules_hold_every_parameter_once(name):
    with torch.device("meta"):
        backbone = find_backbone(name)()
    stages = backbone.stage_modules()
    assert list(stages) == [spec.name for spec in backbone.features]
    held = [id(p) for modules in stages.values() for module in modules for p in module.parameters()]
    assert sorted(held) == sorted(id(p) for p in backbone.parameters())


def test_freeze_stages_freezes_what_torchvision_freezes():
    backbone = resnet18()
    freeze_stages(backbone, up_to="c2")
    frozen = {name for name, p in backbone.named_parameters() if not p.requires_grad}
    assert frozen == {n for n, _ in backbone.named_parameters() if n.startswith(("conv1", "bn1", "layer1"))}
    with pytest.raises(ConfigError, match=r"'c9'.*no such feature"):
        freeze_stages(backbone, up_to="c9")


def test_short_resnet_ends_at_stride_16():
    backbone = ResNet(Bottleneck, (1, 1, 1))
    assert [spec.stride for spec in backbone.features] == [2, 4, 8, 16]
    assert backbone(torch.zeros(1, 3, 32, 32))["c4"].shape == (1, 1024, 2, 2)


def test_picked_features_keeps_the_order_asked_for():
    assert [spec.channels for spec in picked_features(mobilenet_v2(), ("c5", "c3"))] == [1280, 32]
    with pytest.raises(ConfigError, match="no feature 'p3'"):
        picked_features(mobilenet_v2(), ("p3",))


def test_unknown_name_is_answered_with_a_near_one():
    with pytest.raises(ConfigError, match="Did you mean 'resnet50'"):
        find_backbone("resnet5")
