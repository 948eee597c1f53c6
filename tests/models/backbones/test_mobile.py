"""MobileNetV2 at other widths, ShuffleNet and EfficientNet (SYS-085, SYS-086, SYS-087)."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from snellen.errors import ConfigError
from snellen.models import builder_options, find_model, load_weights
from snellen.models.backbones import (
    efficientnet,
    find_backbone,
    mobilenet_v2,
    mobilenet_v3_large,
    shufflenet_v1,
    shufflenet_v2,
)
from snellen.models.backbones.shufflenet_v1 import ShuffleUnit
from snellen.nn import FrozenBatchNorm


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def shaken(net: nn.Module) -> nn.Module:
    """Statistics as after training."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
    return net


@pytest.mark.parametrize("percent", [35, 50, 75, 130, 140])
@torch.no_grad()
def test_widths_of_mobilenet_v2_are_torchvisions(percent, tmp_path):
    """SYS-086: Sandler et al. 2018, section 6.1."""
    torch.manual_seed(0)
    theirs = shaken(torchvision.models.mobilenet_v2(weights=None, width_mult=percent / 100)).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = find_backbone(f"mobilenet_v2_{percent:03d}")().eval()
    report = load_weights(ours, tmp_path / "weights.pth")
    assert not report.missing
    assert not report.reshaped
    assert set(report.unexpected) == {"classifier.1.weight", "classifier.1.bias"}
    x = noise(1, 3, 64, 64)
    wanted = theirs.features(x)
    torch.testing.assert_close(ours(x)["c5"] / wanted.max(), wanted / wanted.max(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "width"), [("large", 0.75), ("small", 0.5)])
@torch.no_grad()
def test_widths_of_mobilenet_v3_are_torchvisions(size, width, tmp_path):
    """Howard et al. 2019, section 6.1: multipliers; the head's width is that of a classifier alone."""
    torch.manual_seed(0)
    theirs = shaken(getattr(torchvision.models, f"mobilenet_v3_{size}")(weights=None, width_mult=width)).eval()
    torch.save(theirs.features.state_dict(), tmp_path / "weights.pth")
    ours = find_backbone(f"mobilenet_v3_{size}")(width=width).eval()
    report = load_weights(ours, tmp_path / "weights.pth")
    assert not report.missing
    assert not report.reshaped
    assert not report.unexpected
    x = noise(1, 3, 64, 64)
    wanted = theirs.features(x)
    torch.testing.assert_close(ours(x)["c5"] / wanted.max(), wanted / wanted.max(), atol=1e-5, rtol=0)


@torch.no_grad()
def test_inner_map_of_mobilenet_v3_is_the_first_at_stride_8():
    net = mobilenet_v3_large().eval()
    x = noise(1, 3, 64, 96)
    plain, whole = net(x), net(x, inner=True)
    assert {*whole} - {*plain} == {"c3a"}
    assert whole["c3a"].shape == (1, 40, 8, 12)
    torch.testing.assert_close(net.blocks[5:7](whole["c3a"]), plain["c3"])


def test_the_wide_layer_of_mobilenet_v3_stands_behind_the_mean():
    """Howard et al. 2019, figure 5: 1280 and 1024 wide, a hard swish, and dropout before the answer."""
    for name, hidden in (("mobilenet_v3_large", 1280), ("mobilenet_v3_small", 1024)):
        net = find_model(name).build(3, dropout=0.5)
        assert net.head.hidden.out_features == net.head.linear.in_features == hidden
        assert net.head.dropout.p == 0.5
        assert any(
            type(module).__name__ == "SameConv2d" for module in find_model(name).build(3, padding="same").modules()
        )
    other = find_model("mobilenet_v3_small").build(3, backbone="resnet18", zero_init=True)
    assert not other.backbone.layer1[0].bn2.weight.any()


def test_widths_that_no_network_has():
    with pytest.raises(ConfigError, match="width must be above 0; got 0"):
        mobilenet_v2(width=0)
    with pytest.raises(ConfigError, match="width must be above 0; got -1"):
        mobilenet_v3_large(width=-1)
    with pytest.raises(ConfigError, match=r"width must be one of 0\.5, 1\.0, 1\.5, 2\.0; got 3"):
        shufflenet_v2(width=3)
    with pytest.raises(ConfigError, match="groups must be one of 1, 2, 3, 4, 8; got 5"):
        shufflenet_v1(groups=5)
    with pytest.raises(ConfigError, match="width must be above 0; got -1"):
        shufflenet_v1(width=-1)
    with pytest.raises(ConfigError, match="variant must be one of 0 to 7, for B0 and so on; got 8"):
        efficientnet(8)


@pytest.mark.parametrize("stride", [1, 2])
@torch.no_grad()
def test_shuffle_unit_by_the_paper(stride):
    """SYS-087: Zhang et al. 2017, figure 2 b and c, layer by layer in the words of the paper."""
    torch.manual_seed(0)
    unit = shaken(
        ShuffleUnit(12, 24 if stride == 2 else 12, stride=stride, groups=3, first_groups=3, norm=nn.BatchNorm2d)
    )
    unit.eval()
    x = noise(2, 12, 7, 8).relu()
    y = unit.reduce[1](functional.conv2d(x, unit.reduce[0].weight, groups=3)).relu()
    batch, channels, rows, columns = y.shape
    y = y.view(batch, 3, channels // 3, rows, columns).transpose(1, 2).reshape(y.shape)  # "channel shuffle"
    y = unit.depthwise[1](functional.conv2d(y, unit.depthwise[0].weight, stride=stride, padding=1, groups=channels))
    y = unit.expand[1](functional.conv2d(y, unit.expand[0].weight, groups=3))
    added = x + y if stride == 1 else torch.cat([functional.avg_pool2d(x, 3, 2, 1), y], dim=1)
    torch.testing.assert_close(unit(x), added.relu())


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("width", [0.25, 0.5, 1.0, 1.5, 2.0])
def test_every_published_shufflenet_can_be_built(groups, width):
    """Table 1 at width 1, whatever the groups; the first 1×1 convolution of all is not grouped."""
    with torch.device("meta"):
        net = shufflenet_v1(groups=groups, width=width).eval()
        last = net(torch.zeros(1, 3, 224, 224))["c5"]
    assert last.shape[-2:] == (7, 7)
    assert net.stage2[0].reduce[0].groups == 1
    assert net.stage2[1].reduce[0].groups == groups
    table = {1: (144, 288, 576), 2: (200, 400, 800), 3: (240, 480, 960), 4: (272, 544, 1088), 8: (384, 768, 1536)}
    if width == 1:
        assert tuple(spec.channels for spec in net.features[2:]) == table[groups]
        assert net.features[0].channels == 24


@pytest.mark.parametrize("variant", [0, 3])
def test_stochastic_depth_rises_as_torchvisions(variant):
    """Huang et al. 2016, eq. 4: linearly with the number of the block, from 0."""
    with torch.device("meta"):
        theirs = getattr(torchvision.models, f"efficientnet_b{variant}")(weights=None)
        ours = efficientnet(variant)
    rates = [[m.p for m in net.modules() if isinstance(m, StochasticDepth)] for net in (theirs, ours)]
    assert rates[0] == pytest.approx(rates[1])
    assert rates[1][0] == 0
    assert max(rates[1]) < 0.2


def test_left_out_residuals_leave_the_input():
    torch.manual_seed(0)
    net = efficientnet(0, stochastic_depth=1.0).train()
    block = net.stages[7][0] if len(net.stages[7]) > 1 else net.stages[6][3]
    assert block.has_short_cut
    block.stochastic_depth.p = 1.0
    x = noise(2, 192, 4, 4)
    assert torch.equal(block(x), x)
    assert not torch.equal(block.eval()(x), x)


def test_dropout_grows_with_the_network():
    """The authors' efficientnet_builder.py."""
    rates = [builder_options(find_model(f"efficientnet_b{variant}"))["dropout"] for variant in range(8)]
    assert rates == [0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5]


@pytest.mark.parametrize(("variant", "eps"), [(0, 1e-5), (5, 1e-3)])
def test_norms_of_the_large_ones_are_tensorflows(variant, eps):
    """torchvision's B5 to B7 were trained so, and their weights presume it; frozen norms, too."""
    for norm in (nn.BatchNorm2d, FrozenBatchNorm):
        with torch.device("meta"):
            net = efficientnet(variant, norm=norm)
        assert {module.eps for module in net.modules() if isinstance(module, norm)} == {eps}


def test_depthwise_convolutions_begin_as_wide_as_others():
    """As the authors draw them: within its group each has one output."""
    torch.manual_seed(0)
    depthwise = efficientnet(0).stages[3][1].block[1][0]
    assert depthwise.groups > 1
    assert depthwise.weight.std().item() == pytest.approx((2 / 25) ** 0.5, rel=0.05)


def test_options_reach_the_networks():
    net = find_model("efficientnet_b0").build(3, stochastic_depth=0.0, padding="same")
    assert {module.p for module in net.backbone.modules() if isinstance(module, StochasticDepth)} == {0.0}
    assert any(type(module).__name__ == "SameConv2d" for module in net.modules())
    other = find_model("efficientnet_b0").build(3, backbone="resnet18", zero_init=True)
    assert not other.backbone.layer1[0].bn2.weight.any()
    assert find_model("densenet121").build(3, recompute=True).backbone.denseblock1.denselayer1.recompute
    assert find_model("squeezenet1_1").build(3, padded=True).backbone.least_size == 1
    assert find_model("squeezenet1_1").build(3).backbone.least_size == 17


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_least_size_of_squeezenet_is_the_least(name):
    entry = find_model(name)
    net = entry.build(3).backbone.eval()
    assert entry.least_size == net.least_size
    assert net(torch.zeros(1, 3, net.least_size, net.least_size))["c4"].shape[-2:] == (1, 1)
    with pytest.raises(RuntimeError):
        net(torch.zeros(1, 3, net.least_size - 1, net.least_size - 1))
