"""The classic networks against torchvision's and timm's with the same state dict, at the size they are made for."""

import warnings

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as tv

from snellen.models import find_model, load_weights
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD
from snellen.structures import ImageBatch

NUM_CLASSES = 7
FC_WIDTH = 64  # in the place of 4096, in both: half a gigabyte for a file says nothing more


def theirs(name: str) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision announces that it will start networks otherwise
        if name == "xception":
            net = timm.create_model("legacy_xception", num_classes=NUM_CLASSES)
        elif name in ("googlenet", "inception_v3"):
            options = {"transform_input": True, "aux_logits": True, "init_weights": False}
            net = getattr(torchvision.models, name)(weights=None, num_classes=NUM_CLASSES, **options)
        else:
            net = getattr(torchvision.models, name)(weights=None, num_classes=NUM_CLASSES)
            narrow(net)
    for module in net.modules():  # statistics as after training, or the norms would do nothing
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return net


def narrow(net: nn.Module) -> None:
    """The widths of the hidden layers of AlexNet and VGG, whose sizes are checked elsewhere."""
    linear = [place for place, layer in enumerate(net.classifier) if isinstance(layer, nn.Linear)]
    net.classifier[linear[0]] = nn.Linear(net.classifier[linear[0]].in_features, FC_WIDTH)
    net.classifier[linear[1]] = nn.Linear(FC_WIDTH, FC_WIDTH)
    net.classifier[linear[2]] = nn.Linear(FC_WIDTH, NUM_CLASSES)


def their_input(name: str, images: ImageBatch) -> Tensor:
    x = tv.to_dtype(images.pixels, torch.float32, scale=True)
    if name == "xception":
        return tv.normalize(x, [0.5] * 3, [0.5] * 3)
    return tv.normalize(x, IMAGENET_MEAN, IMAGENET_STD)


def ours(name: str) -> nn.Module:
    entry = find_model(name)
    options = {"fc_width": FC_WIDTH} if name.startswith(("alexnet", "vgg")) else {}
    if name in ("googlenet", "inception_v3", "xception"):
        options["dropout"] = 0.0
    net = entry.build(NUM_CLASSES, **options)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return net


def assert_near(found: Tensor, wanted: Tensor) -> None:
    scale = wanted.abs().max()
    assert scale > 0
    torch.testing.assert_close(found / scale, wanted / scale, atol=1e-4, rtol=0)


DEEP = {"vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"}
NAMES = ("alexnet", "vgg11", "vgg11_bn", *sorted(DEEP), "googlenet", "inception_v3", "xception")
ROWS = [pytest.param(name, marks=[pytest.mark.slow] if name in DEEP else []) for name in NAMES]


@pytest.mark.parametrize("name", ROWS)
@torch.no_grad()
def test_same_logits_in_training_and_evaluation(name, tmp_path, make_images):
    """SYS-068, SYS-070, SYS-072, SYS-076, SYS-077: every tensor of the file is used, and the logits are theirs."""
    torch.manual_seed(0)
    reference, net = theirs(name), ours(name)
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    report = load_weights(net, tmp_path / "weights.pth")
    assert not report.missing
    assert not report.unexpected
    assert not report.reshaped
    images = make_images(find_model(name).default_size, find_model(name).default_size)
    x = their_input(name, images)
    assert_near(net.eval()(images).logits, reference.eval()(x))
    assert net.eval()(images).auxiliary is None
    found, wanted = net.train()(images), reference.train()(x)
    if name == "googlenet":
        assert_near(found.auxiliary[:, 0], wanted.aux_logits1)
        assert_near(found.auxiliary[:, 1], wanted.aux_logits2)
    if name == "inception_v3":
        assert_near(found.auxiliary[:, 0], wanted.aux_logits)
    assert_near(found.logits, wanted if isinstance(wanted, Tensor) else wanted.logits)


# torchvision's "num_params" and "GFLOPS" (multiply-adds), https://docs.pytorch.org/vision/stable/models.html, and what
# papers and Caffe's model zoo state: AlexNet has "60 million parameters" (Krizhevsky et al. 2012, abstract), LeNet-5
# 60,000 (LeCun et al. 1998, section II.B), Xception 22,855,952 (Chollet 2016, table 3). Those of Network in Network
# follow from its layers: 29 MB of weights in the zoo.
FIGURES = {
    "lenet5": (60_000, None),
    "alexnet_paper": (60_965_224, None),
    "alexnet": (61_100_840, 0.71),
    "vgg11": (132_863_336, 7.61),
    "vgg11_bn": (132_868_840, 7.61),
    "vgg13": (133_047_848, 11.31),
    "vgg13_bn": (133_053_736, 11.31),
    "vgg16": (138_357_544, 15.47),
    "vgg16_bn": (138_365_992, 15.47),
    "vgg19": (143_667_240, 19.63),
    "vgg19_bn": (143_678_248, 19.63),
    "nin": (7_595_176, None),
    "nin_cifar": (966_986, None),
    "googlenet": (6_624_904, 1.50),
    "googlenet_paper": (6_998_552, None),
    "inception_v3": (23_834_568, 5.71),
    "xception": (22_855_952, None),
}


@pytest.mark.parametrize("name", FIGURES)
def test_size_and_cost_are_the_published_ones(name):
    """SYS-067 to SYS-077, Q-099: parameters without auxiliary heads; multiply-adds in billions."""
    parameters, giga = FIGURES[name]
    entry = find_model(name)
    with torch.device("meta"):
        net = entry.build(10 if entry.default_size == (32, 32) else 1000)
    auxiliary = sum(p.numel() for p in net.auxiliary.parameters())
    assert sum(p.numel() for p in net.parameters()) - auxiliary == parameters
    if giga is not None:
        assert multiply_adds(net.eval(), entry.default_size) / 1e9 == pytest.approx(giga, abs=0.006)


def multiply_adds(net: nn.Module, size: tuple[int, int]) -> int:
    """Convolutions and linear layers, counted by hooks from their shapes."""
    total = 0

    def count(layer: nn.Module, _given: tuple[Tensor, ...], said: Tensor) -> None:
        nonlocal total
        total += said[0].numel() * layer.weight[0].numel()

    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(count)
    with torch.no_grad():
        maps = net.backbone(torch.zeros(1, 3, *size, device="meta"))
        net.head(maps[net.backbone.features[-1].name], torch.tensor([[9, 9]], device="meta"))
    return total
