import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import ssd300_vgg16
from torchvision.models.feature_extraction import create_feature_extractor

from snellen.models.backbones import VGG_POOLED, FcPair, SsdVgg16, fc_pair_names, find_backbone, vgg11, vgg16
from snellen.models.description import describe_backbone
from snellen.models.tracing import RunTracer, traced_modules
from snellen.models.weights import load_weights


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def assert_same(found: torch.Tensor, wanted: torch.Tensor) -> None:
    scale = wanted.abs().max()
    assert scale > 0
    torch.testing.assert_close(found / scale, wanted / scale, atol=1e-5, rtol=0)


def move_statistics(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)


@pytest.mark.parametrize("name", ["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg16_bn"])
@torch.no_grad()
def test_equals_torchvision_feature_by_feature(name, tmp_path):
    """SYS-070: the published networks, feature by feature."""
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(weights=None).features
    move_statistics(theirs)
    theirs.eval()
    torch.save({f"features.{key}": value for key, value in theirs.state_dict().items()}, tmp_path / "vgg.pth")
    build = find_backbone(name.removesuffix("_bn"))
    ours = build(norm=nn.BatchNorm2d if name.endswith("_bn") else None).eval()
    report = load_weights(ours, tmp_path / "vgg.pth")
    assert not report.missing
    assert not report.unexpected
    pools = [place for place, layer in enumerate(theirs) if isinstance(layer, nn.MaxPool2d)]
    nodes = {str(place - 1): f"c{number}" for number, place in enumerate(pools) if number}
    reference = create_feature_extractor(theirs, {**nodes, str(pools[-1]): "c5"})
    x = noise(1, 3, 64, 96)
    found, wanted = ours(x), reference(x)
    assert list(found) == ["c1", "c2", "c3", "c4", "c5"]
    for feature, value in wanted.items():
        assert_same(found[feature], value)


def test_one_5x5_in_the_place_of_two_3x3():
    """SYS-070, SYS-095, ERR-069: as far a view at every map, 25 weights of two channels for 18, half the layers."""
    pairs, single = find_backbone("vgg13")(), find_backbone("vgg_5x5")()
    assert [spec.channels for spec in pairs.features] == [spec.channels for spec in single.features]
    found = [describe_backbone(name, size=(64, 64)).features for name in ("vgg13", "vgg_5x5")]
    assert [one.receptive_field_px for one in found[0]] == [one.receptive_field_px for one in found[1]]
    count = [sum(isinstance(layer, nn.Conv2d) for layer in network.modules()) for network in (pairs, single)]
    assert count == [10, 5]
    weight = [network.layers[place].weight for network, place in ((pairs, 7), (single, 3))]
    assert weight[0].shape == (128, 128, 3, 3)
    assert weight[1].shape == (128, 64, 5, 5)


def test_two_small_kernels_keep_two_maps_where_a_large_one_keeps_one():
    """ERR-050: fewer weights, and more to remember for the way back; memory in training is mostly maps."""
    pair = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU())
    single = nn.Sequential(nn.Conv2d(64, 64, 5, padding=2), nn.ReLU())
    written = []
    for network in (pair, single):
        x = torch.zeros(1, 64, 32, 32)
        tracer = RunTracer(x)
        with traced_modules(tracer, network):
            network(x)
        written.append(tracer.total.written_bytes)
    assert pair[0].weight.numel() + pair[2].weight.numel() == 18 / 25 * single[0].weight.numel()
    assert written[0] == 2 * written[1] == 4 * 64 * 32 * 32 * 4  # convolution and ReLU of each, 4 bytes
    found = [describe_backbone(name, size=(64, 64)).written_bytes for name in ("vgg13", "vgg_5x5")]
    assert found[0] > 1.7 * found[1]  # pools are the same in both


class Classifier(nn.Module):
    foreign_names = fc_pair_names("vgg", "fc.")

    def __init__(self):
        super().__init__()
        self.backbone = vgg16()
        self.fc = FcPair(512 * VGG_POOLED**2)
        self.last = nn.Linear(self.fc.out_features, 1000)

    def forward(self, x):
        return self.last(self.fc(self.backbone(x)["c5"]))


def test_published_size_and_cost_of_vgg16():
    """138.36 million parameters and 15.5 G multiply-adds at 224 px."""
    with torch.device("meta"):
        model = Classifier()
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, 224, 224))
    assert sum(p.numel() for p in model.parameters()) == 138_357_544
    assert counter.get_total_flops() / 2 == pytest.approx(15.5e9, rel=0.005)


@pytest.mark.slow
@torch.no_grad()
def test_convolutions_and_fc_pair_are_torchvisions_vgg16(tmp_path):
    torch.manual_seed(0)
    theirs = torchvision.models.vgg16(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "vgg16.pth")
    ours = Classifier().eval()
    report = load_weights(ours, tmp_path / "vgg16.pth")
    assert set(report.missing) == {"last.weight", "last.bias"}
    assert set(report.unexpected) == {"classifier.6.weight", "classifier.6.bias"}
    ours.last.load_state_dict(theirs.classifier[6].state_dict())
    x = noise(1, 3, 224, 224)
    assert_same(ours(x), theirs(x))


def test_fc_pair_drops_only_in_training():
    torch.manual_seed(0)
    pair = FcPair(18, width=400, out_features=200, dropout=0.5)
    x = noise(3, 2, 3, 3)
    assert pair.out_features == 200
    assert pair(x).shape == (3, 200)
    free = pair.eval()(x)
    torch.testing.assert_close(free, pair(x))
    plain = torch.relu(pair.fc7(torch.relu(pair.fc6(x.flatten(1)))))
    torch.testing.assert_close(free, plain)
    # A positive output survives a dropout of one half, and fc6's dropout leaves few at zero by itself.
    zeros = (pair.train()(x) == 0).float().mean()
    assert zeros > (free == 0).float().mean() + 0.15


def test_initial_weights_spread_as_torchvisions():
    torch.manual_seed(0)
    theirs = torchvision.models.vgg11(weights=None).features.state_dict()
    ours = vgg11().state_dict()
    for key, value in theirs.items():
        other = ours[f"layers.{key}"]
        if value.dim() == 4:
            assert other.std().item() == pytest.approx(value.std().item(), rel=0.1), key
        else:
            assert not other.any()


@torch.no_grad()
def test_ssd_body_equals_torchvisions(tmp_path):
    """conv4_3 and the atrous fc7 at 300 px: 38×38 and 19×19 (Liu et al. 2016, figure 2)."""
    torch.manual_seed(0)
    theirs = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=3).backbone.eval()
    torch.save({f"backbone.{key}": value for key, value in theirs.state_dict().items()}, tmp_path / "ssd.pth")
    ours = SsdVgg16().eval()
    report = load_weights(ours, tmp_path / "ssd.pth")
    assert not report.missing
    assert not report.reshaped
    assert all(key.startswith("backbone.extra.") or key == "backbone.scale_weight" for key in report.unexpected)
    assert not any(key.startswith("backbone.extra.0.") for key in report.unexpected)
    x = noise(1, 3, 300, 300)
    found = ours(x)
    conv4 = theirs.features(x)
    assert found["c3"].shape == (1, 512, 38, 38)
    assert found["c4"].shape == (1, 1024, 19, 19)
    assert_same(found["c3"], conv4)
    assert_same(found["c4"], theirs.extra[0](conv4))


def test_ssd_thins_out_the_classifier_of_vgg16():
    """Every 4th output and every 3rd row and column of fc6 (Liu et al. 2016, section 3)."""
    fc6 = torch.arange(4096 * 512 * 49, dtype=torch.int32)
    fc7 = torch.arange(4096 * 4096, dtype=torch.int32)
    ours = SsdVgg16()
    adapted = ours.adapted_weights(
        {
            "features.0.bias": torch.ones(64),
            "classifier.0.weight": fc6.view(4096, -1),
            "module.classifier.0.bias": torch.arange(4096),
            "classifier.3.weight": fc7.view(4096, -1),
            "classifier.3.bias": torch.arange(4096),
            "classifier.6.weight": torch.ones(10, 4096),
        }
    )
    fc = {key: value for key, value in adapted.items() if key.startswith("fc")}
    assert {key: value.shape for key, value in fc.items()} == {
        key: value.shape for key, value in ours.state_dict().items() if key.startswith("fc")
    }
    assert set(adapted) - set(fc) == {"features.0.bias", "classifier.6.weight"}
    for output, channel, row, column in ((0, 0, 0, 0), (5, 300, 1, 2), (1023, 511, 2, 1)):
        wanted = (4 * output * 512 + channel) * 49 + 3 * row * 7 + 3 * column
        assert fc["fc6.weight"][output, channel, row, column] == wanted
    assert fc["fc7.weight"][7, 9, 0, 0] == 28 * 4096 + 36
    assert fc["fc6.bias"][11] == fc["fc7.bias"][11] == 44


@pytest.mark.slow
@torch.no_grad()
def test_ssd_without_atrous_computes_the_classifier_of_vgg16(tmp_path):
    """SYS-116: a linear layer over a map is a convolution as large as the map."""
    torch.manual_seed(0)
    theirs = torchvision.models.vgg16(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "vgg16.pth")
    ours = SsdVgg16(atrous=False).eval()
    report = load_weights(ours, tmp_path / "vgg16.pth")
    assert not report.missing
    assert [(spec.name, spec.channels, spec.stride) for spec in ours.features] == [
        ("c3", 512, 8),
        ("c4", 512, 16),
        ("c5", 4096, 32),
    ]
    x = noise(1, 3, 224, 224)
    found = ours(x)
    # In the middle cell of 7×7 the kernel of fc6 covers the whole map, as the linear layer does.
    wanted = theirs.classifier[:5](theirs.features(x).flatten(1))
    assert_same(found["c5"][:, :, 3, 3], wanted)
    assert_same(found["c4"], theirs.features[:30](x))


@torch.no_grad()
def test_ssd_with_norms_reads_vgg16_bn(tmp_path):
    torch.manual_seed(0)
    theirs = torchvision.models.vgg16_bn(weights=None).features
    move_statistics(theirs)
    theirs.eval()
    torch.save({f"features.{key}": value for key, value in theirs.state_dict().items()}, tmp_path / "vgg.pth")
    ours = SsdVgg16(norm=nn.BatchNorm2d).eval()
    report = load_weights(ours, tmp_path / "vgg.pth")
    assert {key.split(".")[0] for key in report.missing} == {"fc6", "fc7"}
    x = noise(1, 3, 64, 64)
    assert_same(ours(x)["c3"], theirs[:33](x))
