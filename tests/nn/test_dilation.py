import pytest
import torch
from torch import nn

from snellen.errors import ConfigError
from snellen.models.backbones.resnet_blocks import Bottleneck, resnet_stage
from snellen.nn import ConvNormAct, Step, dilated_steps, spread_blocks

RESNET = (1, 2, 2, 2)


def test_without_an_output_stride_nothing_is_dilated():
    assert [step.stride for step in dilated_steps(RESNET, start=4, output_stride=None)] == list(RESNET)
    assert {step.dilation for step in dilated_steps(RESNET, start=4, output_stride=32)} == {1}


def test_rates_follow_the_strides_that_are_kept():
    """DeepLab's ResNet at 8: stages 3 and 4 at rates 2 and 4; the layers that had the strides at 1 and 2."""
    steps = dilated_steps(RESNET, start=4, output_stride=8)
    assert steps == (Step(), Step(stride=2), Step(entering=1, dilation=2), Step(entering=2, dilation=4))
    assert steps[3].following == Step(entering=4, dilation=4)


@pytest.mark.parametrize("output_stride", [2, 6, 64])
def test_strides_that_are_never_reached(output_stride):
    with pytest.raises(ConfigError, match=rf"one of 4, 8, 16, 32 for this network; got {output_stride}"):
        dilated_steps(RESNET, start=4, output_stride=output_stride)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("dilation", [1, 2, 6])
def test_padding_that_keeps_the_size_is_half_of_the_spread_kernel(kernel, dilation):
    """ERR-065, ERR-066, NUM-041: d (k - 1) / 2, which is d for a kernel of 3 alone."""
    layer = ConvNormAct(2, 3, kernel=kernel, dilation=dilation)
    assert layer(torch.zeros(2, 2, 9, 8)).shape == (2, 3, 9, 8)
    assert layer[0].padding == (dilation * (kernel - 1) // 2,) * 2


def test_reach_of_a_dilated_kernel():
    """NUM-040, Q-078: nine weights reach 5×5 pixels at rate 2."""
    conv = ConvNormAct(1, 1, dilation=2, activation=None).eval()
    torch.nn.init.ones_(conv[0].weight)
    x = torch.zeros(1, 1, 11, 11, requires_grad=True)
    conv(x)[0, 0, 5, 5].backward()
    rows, columns = x.grad[0, 0].nonzero(as_tuple=True)
    assert len(rows) == 9
    assert rows.unique().tolist() == columns.unique().tolist() == [3, 5, 7]


def test_multi_grid_is_a_stage_of_blocks_with_rates_of_their_own():
    """Multi-grid (1, 2, 4) on a stage of dilation 2 (DeepLabv3, section 3.2)."""
    torch.manual_seed(0)
    stage = resnet_stage(Bottleneck, 8, 4, num_blocks=3, stride=Step(entering=2, dilation=2))
    torch.manual_seed(0)
    wanted = [
        Bottleneck(8, 4, step=Step(entering=2, dilation=2), norm=nn.BatchNorm2d),
        Bottleneck(16, 4, step=Step(entering=4, dilation=4), norm=nn.BatchNorm2d),
        Bottleneck(16, 4, step=Step(entering=8, dilation=8), norm=nn.BatchNorm2d),
    ]
    spread_blocks([stage], (1, 2, 4))
    x = torch.randn(2, 8, 20, 24)
    torch.testing.assert_close(stage(x), nn.Sequential(*wanted)(x))
    assert stage(x).shape == (2, 16, 20, 24)


@pytest.mark.parametrize("grid", [(1, 2), (1, 2, 4, 8), (0, 1, 2), ()])
def test_multi_grid_needs_a_factor_for_each_block(grid):
    stage = resnet_stage(Bottleneck, 8, 4, num_blocks=3, stride=1)
    with pytest.raises(ConfigError, match="for each of the 3 blocks"):
        spread_blocks([stage], grid)
