"""What the relatives of ResNet change in its blocks."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from snellen.errors import ConfigError
from snellen.models import find_model
from snellen.models.backbones import BasicBlock, BlockDesign, Bottleneck, CifarResNet, WideResNet, find_backbone
from snellen.nn import FrozenBatchNorm, PaddedShortCut, ResidualBlock, SqueezeExcitation, Step


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("depth", [18, 34])
def test_a_plain_network_is_its_residual_twin_less_the_short_cuts(depth):
    """He et al. 2015, section 3.3: the same layers; the projections are all that is missing."""
    with torch.device("meta"):
        plain, residual = find_backbone(f"plain{depth}")(), find_backbone(f"resnet{depth}")()
    kept = {key: value.shape for key, value in residual.state_dict().items() if ".downsample." not in key}
    assert {key: value.shape for key, value in plain.state_dict().items()} == kept
    gone = sum(p.numel() for p in residual.parameters()) - sum(p.numel() for p in plain.parameters())
    assert gone == 173_824


@torch.no_grad()
def test_a_plain_block_passes_nothing_by():
    """SYS-124: with a residual of zero nothing is left of the input, where a short cut would leave it as it is."""
    torch.manual_seed(0)
    x = noise(1, 8, 5, 6).relu()
    for short_cut, wanted in (("none", torch.zeros_like(x)), ("projection", x)):
        block = BasicBlock(8, 8, step=Step(), norm=nn.BatchNorm2d, design=BlockDesign(short_cut=short_cut)).eval()
        nn.init.zeros_(block.bn2.weight)
        torch.testing.assert_close(block(x), wanted)


@torch.no_grad()
def test_grouped_bottleneck_is_a_sum_of_paths():
    """Q-107, SYS-082, SYS-103: ResNeXt's 32 paths of 1×1, 3×3, 1×1 (figure 3 a) are its grouped convolution (3 c)."""
    torch.manual_seed(0)
    design = BlockDesign(groups=32, group_width=4)
    block = Bottleneck(256, 64, step=Step(), norm=lambda _: nn.Identity(), design=design)
    x = noise(2, 256, 7, 7)
    total = x.clone()
    for path in range(32):
        own = slice(4 * path, 4 * path + 4)
        inner = functional.conv2d(x, block.conv1.weight[own]).relu()
        inner = functional.conv2d(inner, block.conv2.weight[own], padding=1).relu()
        total += functional.conv2d(inner, block.conv3.weight[:, own])
    torch.testing.assert_close(block(x), total.relu(), atol=1e-5, rtol=1e-5)


def test_gate_stands_on_the_residual_alone():
    """ERR-097: gates of zero leave the short cut, and its gradient, as they are."""
    torch.manual_seed(0)
    gate = BlockDesign(gate=lambda channels: SqueezeExcitation(channels, 2))
    block = BasicBlock(8, 8, step=Step(), norm=nn.BatchNorm2d, design=gate).eval()
    nn.init.zeros_(block.se.fc2.weight)
    nn.init.constant_(block.se.fc2.bias, -100.0)
    x = noise(1, 8, 5, 5).abs().requires_grad_()
    y = block(x)
    torch.testing.assert_close(y, x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.ones_like(x))


def test_blocks_of_two_convolutions_are_not_grouped():
    with pytest.raises(ConfigError, match=r"1 group of 64 channels; got 32 of 4.*bottlenecks"):
        BasicBlock(64, 64, step=Step(), norm=nn.BatchNorm2d, design=BlockDesign(groups=32, group_width=4))


RESIDUAL = ("resnet18", "resnet50", "resnetv2_18", "resnetv2_50", "seresnet18", "cifar_resnet20", "wrn16_8",
            "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "shufflenet_v1_g3")  # fmt: skip


@pytest.mark.parametrize("name", RESIDUAL)
@torch.no_grad()
def test_zero_init_lets_every_block_begin_as_its_short_cut(name):
    """SYS-206, Q-050: Goyal et al. 2017, section 5.1; off unless it is asked for, as in the papers of the networks."""
    torch.manual_seed(0)
    for zero_init in (False, True):
        # In training, or tiny weights alone would make residuals near zero; but nothing is left out at random.
        backbone = find_backbone(name)(zero_init=zero_init).train()
        same = []
        for block in backbone.modules():
            if isinstance(block, StochasticDepth):
                block.eval()
            if isinstance(block, ResidualBlock):
                block.register_forward_hook(
                    lambda _module, given, said, same=same: same.append(
                        given[0].shape == said.shape and torch.allclose(given[0], said, atol=1e-6)
                    )
                )
        backbone(noise(1, 3, 64, 64).relu())
        assert len(same) > 4
        assert any(same) == zero_init


def test_zero_init_of_a_classifier_needs_residual_blocks():
    net = find_model("resnet18").build(3, zero_init=True)
    assert not net.backbone.layer1[0].bn2.weight.any()
    assert net.backbone.layer1[0].bn1.weight.all()
    with pytest.raises(ConfigError, match="zero_init must be false for vgg11"):
        find_model("resnet18").build(3, backbone="vgg11", zero_init=True)


def test_frozen_norms_do_not_begin_at_zero():
    """What is never learned would never leave it."""
    backbone = find_backbone("resnet18")(norm=FrozenBatchNorm, zero_init=True)
    assert backbone.layer1[0].bn2.weight.all()


@torch.no_grad()
def test_padded_short_cut_is_every_second_pixel_and_zeros():
    """Option A: no weights where depth and size change; what is added has one shape (ERR-094)."""
    x = noise(2, 3, 5, 8)
    y = PaddedShortCut(4, stride=2)(x)
    assert y.shape == (2, 7, 3, 4)
    assert torch.equal(y[:, :3], x[:, :, ::2, ::2])
    assert not y[:, 3:].any()
    with torch.device("meta"):
        backbone = CifarResNet(20)
    assert not [key for key in backbone.state_dict() if "downsample" in key]


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_cifar_networks_have_the_layers_of_their_names(depth):
    """He et al. 2015, section 4.2: 6n + 2 with the classifier."""
    with torch.device("meta"):
        backbone = find_backbone(f"cifar_resnet{depth}")()
        maps = backbone(torch.zeros(1, 3, 32, 32))
    assert sum(isinstance(module, nn.Conv2d) for module in backbone.modules()) + 1 == depth
    assert [tuple(value.shape[1:]) for value in maps.values()] == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


@pytest.mark.parametrize(("depth", "width"), [(16, 8), (28, 10), (40, 4)])
def test_wide_networks_have_the_layers_of_their_names(depth, width):
    """Zagoruyko & Komodakis 2016, table 1: 6n + 4, the three projections counted, and 16, 32, 64 times the width."""
    with torch.device("meta"):
        backbone = find_backbone(f"wrn{depth}_{width}")()
    assert sum(isinstance(module, nn.Conv2d) for module in backbone.modules()) == depth
    assert [spec.channels for spec in backbone.features] == [16 * width, 32 * width, 64 * width]


@torch.no_grad()
def test_wide_network_by_the_paper():
    """SYS-081: WRN-10-1: the short cut that changes depth reads the first activation, all others the input."""
    torch.manual_seed(0)
    net = WideResNet(10, 1).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    x = noise(1, 3, 32, 32)
    y = net.conv1(x)
    for group, stride in ((net.group1, 1), (net.group2, 2), (net.group3, 2)):
        block = group[0]
        first = block.norm1(y).relu()
        second = block.norm2(functional.conv2d(first, block.conv1.weight, stride=stride, padding=1)).relu()
        short_cut = (
            y if block.downsample is None else functional.conv2d(first, block.downsample.conv.weight, stride=stride)
        )
        y = short_cut + functional.conv2d(second, block.conv2.weight, padding=1)
    assert net.group1[0].downsample is None
    torch.testing.assert_close(net(x)["c2"], net.norm(y).relu(), atol=1e-5, rtol=1e-5)


def test_dropout_of_wide_networks_stands_within_the_blocks():
    net = find_model("wrn16_8").build(10, dropout=0.3)
    rates = [module.p for module in net.backbone.modules() if isinstance(module, nn.Dropout)]
    assert rates == [0.3] * 6
    assert net.head.dropout.p == 0.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CifarResNet(21), r"depth must be 6n \+ 2; got 21\. The nearest is 20"),
        (lambda: CifarResNet(2), r"got 2\. The nearest is 8"),
        (lambda: WideResNet(28, 0), "width must be 1 or more; got 0"),
        (lambda: WideResNet(30, 2), r"depth must be 6n \+ 4; got 30\. The nearest is 28"),
    ],
)
def test_depths_that_no_network_has(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


@torch.no_grad()
def test_pre_activation_leaves_the_short_cut_clean():
    """ERR-092, SYS-079, SYS-124: ReLUs stay before the convolutions; behind the addition is none, so negatives pass."""
    torch.manual_seed(0)
    block = find_backbone("resnetv2_50")().stages[0].blocks[1]
    kinds = [type(module).__name__ for module in block.modules()]
    assert kinds.count("BatchNorm2d") == 3
    nn.init.zeros_(block.conv3.weight)
    x = noise(1, 256, 4, 4)
    assert torch.equal(block(x), x)
    assert (x < 0).any()


@torch.no_grad()
def test_networks_without_norms_keep_their_input():
    """An identity in the place of a norm, as comparisons without batch norm want it, is not written into."""
    torch.manual_seed(0)
    for name in ("resnet18", "resnetv2_18", "cifar_resnet20", "wrn16_8", "densenet121", "shufflenet_v1_g3"):
        net = find_backbone(name)(norm=lambda _: nn.Identity()).eval()
        x = noise(1, 3, 32, 32)
        first = {key: value.clone() for key, value in net(x).items()}
        again = net(x)
        assert all(torch.equal(first[key], again[key]) for key in first), name
        assert torch.equal(x, noise(1, 3, 32, 32))
