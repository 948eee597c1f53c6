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
