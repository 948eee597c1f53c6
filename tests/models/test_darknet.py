import pytest
import timm
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from snellen.models.backbones import (
    LEAKY_SLOPE,
    DarknetConv,
    darknet19,
    darknet53,
    darknet_tiny_v3,
    fast_yolo_net,
    yolo_v1_net,
)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_darknet53_equals_timms():
    """SYS-088: the network that others built from the paper, tensor by tensor in the same order."""
    torch.manual_seed(0)
    theirs = timm.create_model("darknet53", features_only=True).eval()
    for module in theirs.modules():
        if isinstance(module, nn.LeakyReLU):
            module.negative_slope = LEAKY_SLOPE  # theirs is 0.01, the paper's 0.1
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    ours = darknet53().eval()
    state = ours.state_dict()
    other = theirs.state_dict()
    assert [value.shape for value in state.values()] == [value.shape for value in other.values()]
    ours.load_state_dict(dict(zip(state, other.values(), strict=True)))
    x = noise(1, 3, 64, 96)
    found, wanted = list(ours(x).values()), theirs(x)[1:]
    assert len(found) == len(wanted) == 5
    for ours_map, theirs_map in zip(found, wanted, strict=True):
        scale = theirs_map.abs().max()
        torch.testing.assert_close(ours_map / scale, theirs_map / scale, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("build", "size", "published"),
    [(darknet19, 224, 5.58e9), (darknet53, 256, 18.7e9)],
    ids=["darknet19", "darknet53"],
)
def test_published_operations(build, size, published):
    """Redmon & Farhadi 2017, section 3.2, and 2018, table 2: a multiply-add is two operations."""
    with torch.device("meta"):
        body, classifier = build(), nn.Conv2d(1024, 1000, 1)
        with FlopCounterMode(display=False) as counter:
            last = body(torch.zeros(1, 3, size, size))["c5"]
            # Darknet-19 classifies before it averages, Darknet-53 afterwards.
            classifier(last if build is darknet19 else last.mean((2, 3), keepdim=True))
    assert counter.get_total_flops() == pytest.approx(published, rel=0.01)


def test_published_numbers_of_layers():
    """19 convolutions with the classifier's, 53 with the connected layer; 24 of YOLO; 9 of Fast YOLO."""
    with torch.device("meta"):
        networks = (darknet19(), darknet53(), yolo_v1_net(), fast_yolo_net(as_paper=True), fast_yolo_net())
    counts = [len(network.darknet_layers()) for network in networks]
    assert counts == [18, 52, 24, 9, 8]


@pytest.mark.parametrize(
    ("build", "num_bytes"),
    [(darknet19, 79_327_120 - 16), (darknet53, 162_482_580 - 20)],
    ids=["darknet19_448.conv.23", "darknet53.conv.74"],
)
def test_numbers_fill_the_published_files(build, num_bytes):
    """The lengths of the files of https://pjreddie.com, less their headers of both kinds."""
    with torch.device("meta"):
        assert 4 * sum(layer.num_numbers for layer in build().darknet_layers()) == num_bytes


@torch.no_grad()
def test_yolo_ends_at_7_by_7():
    """ERR-120: Redmon et al. 2016, figure 3: 448 px become 7×7×1024."""
    with torch.device("meta"):
        assert yolo_v1_net()(torch.zeros(1, 3, 448, 448))["c6"].shape == (1, 1024, 7, 7)
        assert fast_yolo_net()(torch.zeros(1, 3, 448, 448))["c6"].shape == (1, 256, 7, 7)
        assert fast_yolo_net(as_paper=True)(torch.zeros(1, 3, 448, 448))["c6"].shape == (1, 1024, 7, 7)


def test_yolo_as_in_figure_3():
    """Kernel, depth and stride of every convolution of the figure."""
    groups = [
        [(64, 7, 2), (192, 3, 1), (128, 1, 1), (256, 3, 1), (256, 1, 1), (512, 3, 1)],
        [(256, 1, 1), (512, 3, 1)] * 4 + [(512, 1, 1), (1024, 3, 1)],
        [(512, 1, 1), (1024, 3, 1)] * 2 + [(1024, 3, 1), (1024, 3, 2), (1024, 3, 1), (1024, 3, 1)],
    ]
    with torch.device("meta"):
        layers = yolo_v1_net(norm=None).darknet_layers()
    assert [(layer.outputs, layer.size, layer.stride) for layer in layers] == [row for group in groups for row in group]
    assert all(layer.norm is None for layer in layers)


def largest_of_window(x: torch.Tensor) -> torch.Tensor:
    """Darknet's maxpool of size 2 and stride 1 in plain loops: what lies outside does not count."""
    result = torch.empty_like(x)
    rows, columns = x.shape[-2:]
    for row in range(rows):
        for column in range(columns):
            window = x[..., row : min(row + 2, rows), column : min(column + 2, columns)]
            result[..., row, column] = window.amax((-2, -1))
    return result


@torch.no_grad()
def test_tiny_body_pools_with_stride_1_before_its_last_convolution():
    torch.manual_seed(0)
    net = darknet_tiny_v3(norm=None).eval()
    x = noise(1, 3, 70, 96)
    maps = net(x)
    y = functional.max_pool2d(maps["c4"], 2, ceil_mode=True)
    sixth, seventh = (net.stage5[place].conv for place in (1, 3))
    y = functional.leaky_relu(functional.conv2d(y, sixth.weight, sixth.bias, padding=1), 0.1)
    y = functional.conv2d(largest_of_window(y), seventh.weight, seventh.bias, padding=1)
    torch.testing.assert_close(maps["c5"], functional.leaky_relu(y, 0.1))


def test_initial_weights_are_he_fan_in():
    torch.manual_seed(0)
    conv = DarknetConv(64, 256, norm=None).conv
    assert conv.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert not conv.bias.any()


def test_norm_takes_the_place_of_the_bias():
    assert DarknetConv(3, 4).conv.bias is None
    assert DarknetConv(3, 4).norm.eps == 1e-5
    assert not hasattr(DarknetConv(3, 4, norm=None), "norm")
