"""The networks from ResNet on against torchvision's and timm's with the same state dict."""

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.transforms.v2 import functional as tv

from snellen.models import find_model, load_weights
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD

NUM_CLASSES = 7
SIDE = 64  # px: the sums agree at any size
# Names in torchvision where they are not ours, and those that only timm has.
TORCHVISION = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2",
    "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "densenet121", "densenet161", "densenet169",
    "densenet201", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5", "shufflenet_v2_x2_0", "mobilenet_v3_large", "mobilenet_v3_small",
    *(f"efficientnet_b{variant}" for variant in range(8)),
)  # fmt: skip
TIMM = (
    "resnetv2_18", "resnetv2_34", "resnetv2_50", "resnetv2_101", "resnetv2_152", "seresnet18", "seresnet34",
    "seresnet50", "seresnet101", "seresnet152", "seresnext50_32x4d", "seresnext101_32x4d",
)  # fmt: skip
# Of each family the smallest, and those that are quick anyway.
QUICK = {
    "resnet18", "resnext50_32x4d", "densenet121", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2",
    "shufflenet_v2_x0_5", "shufflenet_v2_x1_5", "efficientnet_b0", "mobilenet_v3_large",
    "mobilenet_v3_small", "resnetv2_18", "resnetv2_50", "seresnet18",
}  # fmt: skip
ROWS = [
    pytest.param(name, id=name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in (*TORCHVISION, *TIMM)
]


def theirs(name: str, num_classes: int) -> nn.Module:
    if name in TIMM:
        return timm.create_model(name, num_classes=num_classes)
    return getattr(torchvision.models, name)(weights=None, num_classes=num_classes)


def trained(net: nn.Module) -> nn.Module:
    """Statistics, scales and shifts as after training, or the norms would do nothing."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.3, 0.7)  # or over a hundred blocks rounding grows to anything
            module.bias.data.normal_(0, 0.1)
    return net


@pytest.mark.parametrize("name", ROWS)
@torch.no_grad()
def test_same_logits_from_the_same_file(name, tmp_path, make_images):
    """SYS-078 to SYS-087: every tensor of the file finds its place, and the logits are theirs to 1e-4."""
    torch.manual_seed(0)
    reference = trained(theirs(name, NUM_CLASSES)).eval()
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    net = find_model(name).build(NUM_CLASSES).eval()
    report = load_weights(net, tmp_path / "weights.pth")
    assert not report.missing
    assert not report.unexpected
    assert not report.reshaped
    images = make_images((SIDE, SIDE), (SIDE, SIDE))
    x = tv.normalize(tv.to_dtype(images.pixels, torch.float32, scale=True), IMAGENET_MEAN, IMAGENET_STD)
    found, wanted = net(images).logits, reference(x)
    spread = (wanted[0] - wanted[1]).abs().max()
    assert spread > 0
    torch.testing.assert_close(found / wanted.abs().max(), wanted / wanted.abs().max(), atol=1e-4, rtol=0)


def test_sizes_of_images_are_the_published_ones():
    """Tan & Le's own code: B0 to B7."""
    sizes = [find_model(f"efficientnet_b{variant}").default_size[0] for variant in range(8)]
    assert sizes == [224, 240, 260, 300, 380, 456, 528, 600]


@torch.no_grad()
def test_published_weights_know_the_world(shared_data, make_images):
    """SqueezeNet's own weights, if they are here, see ants and bees in photographs of them."""
    from PIL import Image

    from snellen.structures import ImageBatch

    file = shared_data / "weights" / "squeezenet1_1_imagenet.safetensors"
    photos = sorted((shared_data / "hymenoptera").rglob("val/*/*.jpg"))
    if not file.is_file() or not photos:
        pytest.skip("the weights or the photographs are not here")
    net = find_model("squeezenet1_1").build(1000).eval()
    report = load_weights(net, file)
    assert not report.missing
    assert not report.unexpected
    ant, bee = 310, 309  # of ImageNet's classes
    right = []
    for path in photos[::12]:
        image = Image.open(path).convert("RGB").resize((224, 224))
        pixels = torch.tensor(list(image.tobytes()), dtype=torch.uint8).view(1, 224, 224, 3).permute(0, 3, 1, 2)
        sizes = torch.tensor([[224, 224]])
        logits = net(ImageBatch(pixels=pixels.contiguous(), sizes=sizes, original_sizes=sizes)).logits[0]
        wanted, other = (ant, bee) if path.parent.name == "ants" else (bee, ant)
        right.append(bool(logits[wanted] > logits[other]))
    assert sum(right) / len(right) > 0.8
