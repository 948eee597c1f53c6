import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional
from torchvision.models.feature_extraction import create_feature_extractor

from snellen.models.backbones import (
    ALEXNET_POOLED,
    FcPair,
    alexnet,
    caffenet,
    fc_pair_names,
    freeze_stages,
    vgg_cnn_m,
    zfnet,
)
from snellen.models.backbones.zfnet import WithinChannelNorm
from snellen.models.weights import load_weights


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


class Regions(nn.Module):
    foreign_names = fc_pair_names("alexnet", "fc.")

    def __init__(self):
        super().__init__()
        self.backbone = alexnet(padded=False)
        self.fc = FcPair(256 * ALEXNET_POOLED**2)

    def forward(self, x):
        return self.fc(self.backbone(x)["c5"])


@torch.no_grad()
def test_alexnet_equals_torchvision_up_to_fc7(tmp_path):
    """SYS-068: five convolutions, three pools and the two wide layers, from torchvision's state dict."""
    torch.manual_seed(0)
    theirs = torchvision.models.alexnet(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "alexnet.pth")
    ours = Regions().eval()
    report = load_weights(ours, tmp_path / "alexnet.pth")
    assert not report.missing
    assert set(report.unexpected) == {"classifier.6.weight", "classifier.6.bias"}
    nodes = {"features.1": "c2", "features.4": "c3", "features.11": "c4", "features.12": "c5", "classifier.5": "fc7"}
    x = noise(2, 3, 224, 224)
    wanted = create_feature_extractor(theirs, nodes)(x)
    found = {**ours.backbone(x), "fc7": ours(x)}
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-5)


def test_the_padded_alexnet_has_the_same_weights():
    plain, padded = alexnet(padded=False).state_dict(), alexnet().state_dict()
    assert {key: value.shape for key, value in plain.items()} == {key: value.shape for key, value in padded.items()}


@torch.no_grad()
def test_caffenet_has_the_sizes_of_its_paper():
    """SYS-068: at 227 px conv1 is 55×55, conv5 13×13, pool5 6×6; groups of two halve conv2, conv4 and conv5."""
    maps = caffenet(padded=False).eval()(torch.zeros(1, 3, 227, 227))
    assert [tuple(value.shape[1:]) for value in maps.values()] == [
        (96, 55, 55),
        (256, 27, 27),
        (256, 13, 13),
        (256, 6, 6),
    ]
    # Table of Krizhevsky et al.: weights and biases of the five convolutions.
    counts = [
        sum(p.numel() for p in conv.parameters()) for conv in caffenet().children() if isinstance(conv, nn.Conv2d)
    ]
    assert counts == [34_944, 307_456, 885_120, 663_936, 442_624]


def caffe_response_norm(x: torch.Tensor) -> torch.Tensor:
    """Krizhevsky et al. 2012, section 3.3, in plain loops over the channels, with Caffe's alpha / size and k = 1."""
    energy = torch.zeros_like(x)
    for channel in range(x.shape[1]):
        for other in range(max(0, channel - 2), min(x.shape[1], channel + 3)):
            energy[:, channel] += x[:, other] ** 2
    return x / (1 + 1e-4 / 5 * energy) ** 0.75


@torch.no_grad()
def test_caffenet_layer_by_layer():
    """SYS-122: pooled first, then normalised over five channels."""
    torch.manual_seed(0)
    net = caffenet(padded=False).double().eval()
    for conv in net.children():
        if isinstance(conv, nn.Conv2d):
            conv.weight *= 5  # or the responses are too weak for the norm to matter
    x = noise(1, 3, 99, 120).double() * 50
    wanted = {}
    y = wanted["c2"] = functional.conv2d(x, net.conv1.weight, net.conv1.bias, 4).relu()
    y = caffe_response_norm(functional.max_pool2d(y, 3, 2, ceil_mode=True))
    y = wanted["c3"] = functional.conv2d(y, net.conv2.weight, net.conv2.bias, padding=2, groups=2).relu()
    y = caffe_response_norm(functional.max_pool2d(y, 3, 2, ceil_mode=True))
    y = functional.conv2d(y, net.conv3.weight, net.conv3.bias, padding=1).relu()
    y = functional.conv2d(y, net.conv4.weight, net.conv4.bias, padding=1, groups=2).relu()
    y = wanted["c4"] = functional.conv2d(y, net.conv5.weight, net.conv5.bias, padding=1, groups=2).relu()
    wanted["c5"] = functional.max_pool2d(y, 3, 2, ceil_mode=True)
    torch.testing.assert_close(net(x), wanted)


def test_within_channel_norm_in_plain_loops():
    """Caffe's LRN layer: the mean of the squares over the window, zeros outside counted."""
    x = noise(2, 3, 4, 5).double() * 100
    wanted = torch.zeros_like(x)
    for row in range(4):
        for column in range(5):
            energy = torch.zeros(2, 3, dtype=torch.float64)
            for r in range(max(0, row - 1), min(4, row + 2)):
                for c in range(max(0, column - 1), min(5, column + 2)):
                    energy += x[:, :, r, c] ** 2 / 9
            wanted[:, :, row, column] = x[:, :, row, column] * (1 + 5e-5 * energy) ** -0.75
    torch.testing.assert_close(WithinChannelNorm(3, alpha=5e-5, beta=0.75)(x), wanted)
    assert (x / wanted).max() > 1.1


@torch.no_grad()
def test_zf_layer_by_layer():
    """SYS-069: 7×7 with stride 2, normalised before it is pooled, conv5 at stride 16."""
    torch.manual_seed(0)
    net = zfnet().double().eval()
    norm = WithinChannelNorm(3, alpha=5e-5, beta=0.75)
    x = noise(1, 3, 71, 90).double() * 50
    wanted = {}
    y = wanted["c1"] = functional.conv2d(x, net.conv1.weight, net.conv1.bias, 2, 3).relu()
    y = wanted["c2"] = functional.max_pool2d(norm(y), 3, 2, 1)
    y = wanted["c3"] = functional.conv2d(y, net.conv2.weight, net.conv2.bias, 2, 2).relu()
    y = functional.max_pool2d(norm(y), 3, 2, 1)
    for conv in (net.conv3, net.conv4, net.conv5):
        y = functional.conv2d(y, conv.weight, conv.bias, padding=1).relu()
    wanted["c4"] = y
    wanted["c5"] = functional.max_pool2d(y, 3, 2, 1)
    torch.testing.assert_close(net(x), wanted)
    assert [(spec.channels, spec.stride) for spec in net.features] == [(96, 2), (96, 4), (256, 8), (256, 16), (256, 32)]


def test_vgg_cnn_m_has_the_depths_of_its_paper():
    """SYS-046: Chatfield et al. 2014, table 1: 96, 256 and three times 512."""
    convs = [conv for conv in vgg_cnn_m().children() if isinstance(conv, nn.Conv2d)]
    assert [(conv.out_channels, conv.kernel_size[0], conv.stride[0]) for conv in convs] == [
        (96, 7, 2),
        (256, 5, 2),
        (512, 3, 1),
        (512, 3, 1),
        (512, 3, 1),
    ]


@pytest.mark.parametrize("build", [caffenet, zfnet])
def test_a_norm_takes_the_place_of_the_response_norm(build):
    net = build(norm=nn.BatchNorm2d)
    kinds = [type(module) for module in net.modules()]
    assert kinds.count(nn.BatchNorm2d) == 5
    assert nn.LocalResponseNorm not in kinds
    assert WithinChannelNorm not in kinds


def test_the_first_stage_of_caffenet_freezes_alone():
    """Fast R-CNN keeps conv1 of CaffeNet fixed (Girshick 2015, section 4.5)."""
    net = caffenet()
    freeze_stages(net, up_to="c2")
    assert {name for name, p in net.named_parameters() if not p.requires_grad} == {"conv1.weight", "conv1.bias"}
