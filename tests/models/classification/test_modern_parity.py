"""The networks from ResNet on against torchvision's and timm's with the same state dict; their published figures."""

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
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


# Parameters, and multiply-adds in millions with the last digit that is published, for 1000 classes (10 at 32 px).
# torchvision's "num_params" and "GFLOPS" (https://docs.pytorch.org/vision/stable/models.html), but Tan & Le 2019, table
# 2, for B2, whose size is another there; and what papers state where torchvision has none: Zhang
# et al. 2017, tables 1 and 2; Sandler et al. 2018's authors for other widths (slim/nets/mobilenet, README); He et al.
# 2015, table 6; Zagoruyko & Komodakis 2016, table 4; Hu et al. 2017, table 2.
FIGURES = {
    "resnet18": (11_689_512, 1810, 10),
    "resnet34": (21_797_672, 3660, 10),
    "resnet50": (25_557_032, 4090, 10),
    "resnet101": (44_549_160, 7800, 10),
    "resnet152": (60_192_808, 11510, 10),
    "wide_resnet50_2": (68_883_240, 11400, 10),
    "wide_resnet101_2": (126_886_696, 22750, 10),
    "resnext50_32x4d": (25_028_904, 4230, 10),
    "resnext101_32x8d": (88_791_336, 16410, 10),
    "resnext101_64x4d": (83_455_272, 15460, 10),
    "densenet121": (7_978_856, 2830, 10),
    "densenet161": (28_681_000, 7730, 10),
    "densenet169": (14_149_480, 3360, 10),
    "densenet201": (20_013_928, 4290, 10),
    "squeezenet1_0": (1_248_424, 820, 10),
    "squeezenet1_1": (1_235_496, 350, 10),
    "mobilenet_v2": (3_504_872, 300, 10),
    "mobilenet_v3_large": (5_483_032, 217, 1),
    "mobilenet_v3_small": (2_542_856, 57, 1),
    "shufflenet_v2_x0_5": (1_366_792, 40, 10),
    "shufflenet_v2_x1_0": (2_278_604, 140, 10),
    "shufflenet_v2_x1_5": (3_503_624, 300, 10),
    "shufflenet_v2_x2_0": (7_393_996, 580, 10),
    "efficientnet_b0": (5_288_548, 390, 10),
    "efficientnet_b1": (7_794_184, 690, 10),
    "efficientnet_b2": (9_109_994, 1000, 100),
    "efficientnet_b3": (12_233_232, 1830, 10),
    "efficientnet_b4": (19_341_616, 4390, 10),
    "efficientnet_b5": (30_389_784, 10270, 10),
    "efficientnet_b6": (43_040_704, 19070, 10),
    "efficientnet_b7": (66_347_960, 37750, 10),
    "shufflenet_v1_g1": (None, 143, 1),
    "shufflenet_v1_g2": (None, 140, 2),
    "shufflenet_v1_g3": (None, 137, 1),
    "shufflenet_v1_g4": (None, 133, 3),
    "shufflenet_v1_g8": (None, 137, 3),
    "shufflenet_v1_g3_x0_25": (None, 13, 1),
    "shufflenet_v1_g3_x0_5": (None, 38, 1),
    "shufflenet_v1_g3_x1_5": (None, 292, 1),
    "shufflenet_v1_g3_x2_0": (None, 524, 1),
    "mobilenet_v2_035": (1.66e6, 59, 1),
    "mobilenet_v2_050": (1.95e6, 97, 1),
    "mobilenet_v2_075": (2.61e6, 209, 1),
    "mobilenet_v2_130": (5.34e6, 509, 1),
    "mobilenet_v2_140": (6.06e6, 582, 1),
    "cifar_resnet20": (0.27e6, None, 0),
    "cifar_resnet32": (0.46e6, None, 0),
    "cifar_resnet44": (0.66e6, None, 0),
    "cifar_resnet56": (0.85e6, None, 0),
    "cifar_resnet110": (1.73e6, None, 0),
    "wrn16_8": (11.0e6, None, 0),
    "wrn28_10": (36.5e6, None, 0),
    "wrn40_4": (8.9e6, None, 0),
    "seresnet50": (28.1e6, 4090, 10),
}
ROUNDED = 0.012  # share that a rounded number of parameters may be off


def multiply_adds(net: nn.Module, size: tuple[int, int]) -> float:
    """In millions."""
    last = net.backbone.features[-1].name
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.head(net.backbone(torch.zeros(1, 3, *size))[last], torch.tensor([[99, 99]]))
    return counter.get_total_flops() / 2e6


DEEP = {
    "resnet101", "resnet152", "wide_resnet101_2", "resnext101_32x8d", "resnext101_64x4d", "densenet161",
    "densenet169", "densenet201", "cifar_resnet110", *(f"efficientnet_b{variant}" for variant in range(2, 8)),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in DEEP else []) for name in FIGURES]
)
def test_size_and_cost_are_the_published_ones(name):
    """SYS-078 to SYS-088, Q-085, Q-099."""
    parameters, millions, last_digit = FIGURES[name]
    entry = find_model(name)
    with torch.device("meta"):
        net = entry.build(10 if entry.default_size == (32, 32) else 1000).eval()
    found = sum(p.numel() for p in net.parameters())
    if isinstance(parameters, int):
        assert found == parameters
    elif parameters is not None:
        assert found == pytest.approx(parameters, rel=ROUNDED)
    if millions is not None:
        assert multiply_adds(net, entry.default_size) == pytest.approx(millions, abs=0.6 * last_digit)


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
