"""Dilation in the place of strides (SYS-099, ERR-065, ERR-066, Q-078)."""

import inspect

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from snellen.errors import ConfigError
from snellen.models.backbones import BACKBONES, chosen_backbone, find_backbone

RESNET_NODES = {f"layer{number}": f"c{number + 1}" for number in range(1, 5)}


def shaken(net: nn.Module) -> nn.Module:
    """Statistics, scales and shifts as after training."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return net


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def assert_same(found: torch.Tensor, wanted: torch.Tensor) -> None:
    assert found.shape == wanted.shape
    scale = wanted.abs().max()
    torch.testing.assert_close(found / scale, wanted / scale, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "output_stride"),
    [
        ("resnet50", 8),
        ("resnet50", 16),
        pytest.param("resnext50_32x4d", 8, marks=pytest.mark.slow),
        pytest.param("wide_resnet50_2", 16, marks=pytest.mark.slow),
        pytest.param("resnet101", 8, marks=pytest.mark.slow),
    ],
)
@torch.no_grad()
def test_equals_torchvisions_replace_stride_with_dilation(name, output_stride):
    torch.manual_seed(0)
    replaced = [False, output_stride < 16, output_stride < 32]
    theirs = shaken(getattr(torchvision.models, name)(weights=None, replace_stride_with_dilation=replaced)).eval()
    ours = find_backbone(name)(output_stride=output_stride).eval()
    ours.load_state_dict({key: value for key, value in theirs.state_dict().items() if not key.startswith("fc.")})
    x = noise(1, 3, 70, 97)
    found, wanted = ours(x), create_feature_extractor(theirs, RESNET_NODES)(x)
    for feature, value in wanted.items():
        assert_same(found[feature], value)


@pytest.mark.parametrize(("name", "output_stride"), [("resnet18", 8), ("seresnet18", 16)])
@torch.no_grad()
def test_equals_timms_where_torchvision_has_none(name, output_stride):
    """Blocks of two 3×3 convolutions, which torchvision does not dilate, and gated ones."""
    torch.manual_seed(0)
    theirs = shaken(timm.create_model(name, features_only=True, output_stride=output_stride)).eval()
    ours = find_backbone(name)(output_stride=output_stride).eval()
    ours.load_state_dict(theirs.state_dict())
    x = noise(1, 3, 64, 96)
    for found, wanted in zip(ours(x).values(), theirs(x), strict=True):
        assert_same(found, wanted)


ATROUS = (
    "resnet18", "resnet50", "plain18", "resnetv2_18", "resnetv2_50", "mobilenet_v2",
)  # fmt: skip
ATROUS_SLOW = ("resnet34", "resnext50_32x4d", "wide_resnet50_2", "mobilenet_v2_035")


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("name", [*ATROUS, *(pytest.param(each, marks=pytest.mark.slow) for each in ATROUS_SLOW)])
@torch.no_grad()
def test_the_dilated_network_computes_what_the_strided_one_does_and_more(name, output_stride):
    """Chen et al. 2014, section 3.1: at the cells that the strided network has, the dilated one has its values."""
    torch.manual_seed(0)
    strided = shaken(find_backbone(name)()).eval()
    dilated = find_backbone(name)(output_stride=output_stride).eval()
    dilated.load_state_dict(strided.state_dict())
    x = noise(1, 3, 71, 90)
    found, wanted = dilated(x), strided(x)
    for coarse, fine in zip(strided.features, dilated.features, strict=True):
        assert fine.stride == min(coarse.stride, output_stride)
        assert found[fine.name].shape[-2:] == (-(-71 // fine.stride), -(-90 // fine.stride))
        every = coarse.stride // fine.stride
        assert_same(found[fine.name][:, :, ::every, ::every], wanted[coarse.name])


DILATED = [name for name, build in BACKBONES.items() if "output_stride" in inspect.signature(build).parameters]


QUICK = {
    "resnet18", "plain18", "resnetv2_18", "seresnet18", "resnext50_32x4d", "mobilenet_v2", "mobilenet_v2_035",
    "densenet121", "efficientnet_b0", "mobilenet_v3_large", "mobilenet_v3_small",
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in DILATED]
)
def test_maps_stop_at_the_output_stride(name):
    with torch.device("meta"):
        backbone = find_backbone(name)(output_stride=8).eval()
        maps = backbone(torch.zeros(1, 3, 70, 97))
    for spec in backbone.features:
        assert spec.stride <= 8
        assert maps[spec.name].shape == (1, spec.channels, -(-70 // spec.stride), -(-97 // spec.stride))
    strided = find_backbone(name)
    with torch.device("meta"):
        assert sum(p.numel() for p in strided().parameters()) == sum(p.numel() for p in backbone.parameters())


def test_the_families_that_segmenters_stand_on_can_be_dilated():
    families = ("resnet", "resnetv2_", "wide_resnet", "resnext", "seresne", "mobilenet_", "densenet", "efficientnet")
    wanted = {name for name in BACKBONES if name.startswith(families)}
    assert wanted <= set(DILATED)


@pytest.mark.parametrize("output_stride", [3, 12, 64, 2])
def test_a_stride_at_which_nothing_ends_is_refused(output_stride):
    with pytest.raises(ConfigError, match=rf"output_stride must be one of 4, 8, 16, 32.*got {output_stride}"):
        find_backbone("resnet18")(output_stride=output_stride)


@torch.no_grad()
def test_same_padding_and_dilation_go_together():
    """TensorFlow's sampling grid, on weights of TensorFlow."""
    torch.manual_seed(0)
    strided = shaken(find_backbone("mobilenet_v2")(padding="same")).eval()
    dilated = find_backbone("mobilenet_v2")(padding="same", output_stride=16).eval()
    dilated.load_state_dict(strided.state_dict())
    x = noise(1, 3, 64, 64)
    assert_same(dilated(x)["c4"], strided(x)["c4"])
    assert dilated(x)["c5"].shape[-2:] == (4, 4)


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
@torch.no_grad()
def test_a_dilated_entry_is_torchvisions_mobilenet_v3(name):
    """Its first kernel of the last stage is dilated as the others are; without, the grid is the strided network's."""
    torch.manual_seed(0)
    theirs = shaken(getattr(torchvision.models, name)(weights=None, dilated=True)).eval()
    ours, plain = (
        chosen_backbone(name, usual=name, output_stride=16, dilated_entry=dilated).eval() for dilated in (True, False)
    )
    state = {key.removeprefix("features."): v for key, v in theirs.state_dict().items() if key.startswith("features.")}
    for network in (ours, plain):
        network.blocks.load_state_dict(state)
    x = noise(1, 3, 64, 96)
    wanted = theirs.features(x)
    assert_same(ours(x)["c5"], wanted)
    assert (plain(x)["c5"] - wanted).abs().max() > 1e-3 * wanted.abs().max()


def test_a_dilated_entry_changes_nothing_where_nothing_is_dilated():
    for name in ("resnet18", "mobilenet_v3_small"):
        network = chosen_backbone(name, usual=name, dilated_entry=True)
        assert {conv.dilation for conv in network.modules() if isinstance(conv, nn.Conv2d)} == {(1, 1)}
