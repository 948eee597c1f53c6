"""One block for both (SYS-086, Q-104)."""

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.mobilenetv2 import InvertedResidual

from snellen.errors import ConfigError
from snellen.models.backbones import WaistNet, find_backbone
from snellen.nn import Step, WaistBlock, bottleneck_block, inverted_block


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def filled(ours: nn.Module, theirs: nn.Module) -> None:
    """Tensor by tensor in the order of the layers."""
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    values = theirs.state_dict().values()
    ours.load_state_dict(dict(zip(ours.state_dict(), values, strict=True)))


@pytest.mark.parametrize(("in_channels", "stride"), [(64, 1), (32, 1), (32, 2)])
@torch.no_grad()
def test_narrow_waist_is_torchvisions_bottleneck(in_channels, stride):
    """SYS-080."""
    torch.manual_seed(0)
    short_cut = None
    if stride != 1 or in_channels != 64:
        short_cut = nn.Sequential(nn.Conv2d(in_channels, 64, 1, stride, bias=False), nn.BatchNorm2d(64))
    theirs = torchvision.models.resnet.Bottleneck(in_channels, 16, stride, short_cut).eval()
    ours = bottleneck_block(in_channels, 64, step=Step(stride=stride)).eval()
    filled(ours, theirs)
    x = noise(2, in_channels, 9, 10)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("out_channels", "stride", "ratio"), [(8, 1, 6), (12, 1, 6), (8, 2, 6), (8, 1, 1)])
@torch.no_grad()
def test_wide_waist_is_torchvisions_inverted_residual(out_channels, stride, ratio):
    torch.manual_seed(0)
    theirs = InvertedResidual(8, out_channels, stride, ratio).eval()
    ours = inverted_block(8, out_channels, ratio=ratio, step=Step(stride=stride)).eval()
    filled(ours, theirs)
    x = noise(2, 8, 9, 10)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("depthwise", [True, False])
@pytest.mark.parametrize("linear", [True, False])
def test_every_mixture_can_be_built(depthwise, linear):
    block = WaistBlock(8, 8, waist=24, depthwise=depthwise, linear=linear, projection=True)
    convs = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
    assert [conv.groups for conv in convs] == [1, 24 if depthwise else 1, 1]
    assert (block(noise(1, 8, 6, 6)) >= 0).all() != linear


def test_both_networks_cost_the_same():
    """Q-104: the comparison is fair in parameters."""
    with torch.device("meta"):
        narrow, wide = (find_backbone(name)() for name in ("cifar_bottleneck", "cifar_inverted"))
    counts = [sum(p.numel() for p in net.parameters()) for net in (narrow, wide)]
    assert counts[0] == pytest.approx(counts[1], rel=0.01)
    handed_on = [net.features[-1].channels for net in (narrow, wide)]
    inner = [max(c.out_channels for c in net.stage2[1].residual[0].modules() if isinstance(c, nn.Conv2d)) for net in
             (narrow, wide)]  # fmt: skip
    assert handed_on[0] == 4 * inner[0]
    assert inner[1] == 6 * handed_on[1]


def test_settings_that_no_network_has():
    with pytest.raises(ConfigError, match="waist must be one of 'narrow', 'wide'; got 'broad'"):
        WaistNet("broad")
    with pytest.raises(ConfigError, match="depths must be 3 numbers"):
        WaistNet("wide", depths=(8, 16))
