"""How residual blocks begin (SYS-206, Q-050)."""

import torch
from torch import nn

from snellen.models.backbones import resnet18
from snellen.nn import FrozenBatchNorm, ResidualBlock, Step, WaistBlock, begin_as_identity, begin_at_zero
from snellen.nn.preactivation import PreActBasic


def test_only_what_is_learned_begins_at_zero():
    learned, frozen, none = nn.BatchNorm2d(3), FrozenBatchNorm(3), nn.Identity()
    for layer in (learned, frozen, none):
        begin_at_zero(layer)
    assert not learned.weight.any()
    assert frozen.weight.all()


def test_any_network_of_blocks_can_begin_as_its_short_cuts():
    """SYS-124: an identity is a matter of zeros."""
    torch.manual_seed(0)
    blocks = nn.Sequential(
        PreActBasic(4, 4, step=Step(), norm=nn.BatchNorm2d),
        WaistBlock(4, 4, waist=8, depthwise=True, linear=True, projection=False),
    )
    assert all(isinstance(block, ResidualBlock) for block in blocks)
    assert not isinstance(nn.Conv2d(1, 1, 1), ResidualBlock)
    x = torch.randn(2, 4, 5, 5)
    assert not torch.allclose(blocks(x), x)
    begin_as_identity(blocks)
    torch.testing.assert_close(blocks(x), x)


def test_a_block_without_a_short_cut_is_left_alone():
    """Silenced it would be silent for ever: nothing would reach the layers before its zero."""
    block = WaistBlock(4, 6, waist=8, depthwise=True, linear=True, projection=False)
    begin_as_identity(block)
    assert block.residual[-1][1].weight.all()


def test_gradients_leave_zero_after_one_step():
    """Goyal et al. 2017: the zeros are a beginning, not an end."""
    torch.manual_seed(0)
    net = resnet18(zero_init=True).train()
    x = torch.randn(2, 3, 64, 64)
    net(x)["c5"].square().mean().backward()
    scale = net.layer1[0].bn2.weight
    assert scale.grad.any()
    assert not net.layer1[0].conv1.weight.grad.any()
    with torch.no_grad():
        scale -= 0.1 * scale.grad
    net.zero_grad()
    net(x)["c5"].square().mean().backward()
    assert net.layer1[0].conv1.weight.grad.any()
