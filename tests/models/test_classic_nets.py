"""ZFNet, Network in Network, GoogLeNet, BN-Inception and Inception v3, against the figures of their papers."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snellen.models import find_model, load_weights
from snellen.models.backbones import (
    alexnet_paper,
    bn_inception,
    find_backbone,
    googlenet_paper,
    mlpconv,
    nin,
    nin_cifar,
)
from snellen.nn import IMAGENET_MEAN, FrozenBatchNorm, ResponseNorm
from snellen.structures import ClassTarget, ImageBatch


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


# Sides of the maps at the size of the paper, finest first.
PUBLISHED_SIDES = {
    "alexnet_paper": (227, [55, 27, 13, 6]),  # Krizhevsky et al. 2012, figure 2
    "zfnet_paper": (224, [110, 55, 26, 13, 6]),  # Zeiler & Fergus 2014, figure 3
    "nin": (224, [54, 27, 13, 6]),
    "googlenet_paper": (224, [112, 56, 28, 14, 7]),  # Szegedy et al. 2014, table 1
    "inception_v2": (224, [112, 56, 28, 14, 7]),  # Ioffe & Szegedy 2015, figure 5
    "inception_v3": (299, [147, 71, 35, 17, 8]),  # Szegedy et al. 2015, table 1
    "xception": (299, [147, 74, 37, 19, 10]),  # Chollet 2016, figure 5: 19×19×728 in the middle flow
}


@pytest.mark.parametrize("name", PUBLISHED_SIDES)
def test_maps_have_the_papers_sizes(name):
    """SYS-068, SYS-069, SYS-071 to SYS-077."""
    side, wanted = PUBLISHED_SIDES[name]
    build = find_backbone(name)
    with torch.device("meta"):
        net = build() if name in ("googlenet_paper", "inception_v2") else build(padded=False)
        maps = net.eval()(torch.zeros(1, 3, side, side))
    assert [value.shape[-1] for value in maps.values()] == wanted


@torch.no_grad()
def test_alexnet_normalises_before_it_pools():
    """SYS-068, SYS-122: ReLU, response normalisation (k 2, n 5, alpha 1e-4, beta 0.75), pool; conv2 in two columns."""
    torch.manual_seed(0)
    net = alexnet_paper(padded=False).double().eval()
    x = noise(1, 3, 99, 120).double() * 50
    norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    y = functional.conv2d(x, net.conv1.weight, net.conv1.bias, 4).relu()
    y = functional.max_pool2d(norm(y), 3, 2, ceil_mode=True)
    wanted = functional.conv2d(y, net.conv2.weight, net.conv2.bias, padding=2, groups=2).relu()
    torch.testing.assert_close(net(x)["c3"], wanted)
    assert [conv.groups for conv in net.children() if isinstance(conv, nn.Conv2d)] == [1, 2, 1, 2, 2]


@torch.no_grad()
def test_two_columns_are_two_networks_that_meet_in_conv3():
    """NUM-058: what one GPU held depends on its own half of the maps alone, up to conv3."""
    net = alexnet_paper().eval()
    half = noise(1, 96, 6, 6)
    changed = half.clone()
    changed[:, 48:] = 0
    first, second = net.conv2(half), net.conv2(changed)
    torch.testing.assert_close(first[:, :128], second[:, :128])
    assert not torch.allclose(first[:, 128:], second[:, 128:])


def test_kernels_from_alexnet_to_zfnet():
    """SYS-069, NUM-056: 11×11 with stride 4 became 7×7 with stride 2."""
    first = {name: find_backbone(name)().conv1 for name in ("alexnet_paper", "zfnet_paper")}
    assert {name: (conv.kernel_size, conv.stride) for name, conv in first.items()} == {
        "alexnet_paper": ((11, 11), (4, 4)),
        "zfnet_paper": ((7, 7), (2, 2)),
    }


def test_vgg_has_kernels_of_3_alone():
    """ERR-087: configurations A, B, D and E have no 1×1 (C alone has)."""
    for name in ("vgg11", "vgg13", "vgg16", "vgg19"):
        kernels = {layer.kernel_size for layer in find_backbone(name)().modules() if isinstance(layer, nn.Conv2d)}
        assert kernels == {(3, 3)}


def test_most_of_vgg_is_in_fully_connected_layers():
    """ERR-088, Q-085, SYS-115: 124 of 138 million parameters; three 3×3 are 27/49 of a 7×7 of the same depth."""
    with torch.device("meta"):
        model = find_model("vgg16").build(1000)
    fc = sum(p.numel() for p in model.head.parameters())
    assert fc == 123_642_856
    assert fc / sum(p.numel() for p in model.parameters()) > 0.89


@torch.no_grad()
def test_mlpconv_is_a_perceptron_at_every_place():
    """SYS-071, SYS-096, ERR-067: 1×1 convolutions are linear layers at each place; ReLUs bend (Lin et al. 2013)."""
    torch.manual_seed(0)
    layer = mlpconv(2, (4, 3), kernel=3)
    x = noise(1, 2, 5, 5)
    window = x[0, :, 1:4, 2:5].flatten()
    hidden = (layer[0].weight.flatten(1) @ window + layer[0].bias).relu()
    wanted = (layer[2].weight.flatten(1) @ hidden + layer[2].bias).relu()
    torch.testing.assert_close(layer(x)[0, :, 2, 3], wanted)


def test_network_in_network_has_the_authors_layers():
    assert widths(nin_cifar()) == [192, 160, 96, 192, 192, 192, 192, 192]
    assert widths(nin()) == [96] * 3 + [256] * 3 + [384] * 3 + [1024] * 2
    with_norms = nin_cifar(norm=nn.BatchNorm2d)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in with_norms.modules()) == 8


def test_network_in_network_learns_four_images():
    """SYS-071: without norms, with its ReLU on the scores, and with a class that has two of the images."""
    torch.manual_seed(0)
    side = 16
    colours = torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(1)) * 255
    pixels = functional.interpolate(colours, size=(side, side)).byte()
    sizes = torch.tensor([[side, side]] * 4)
    images = ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes)
    target = ClassTarget(probs=torch.eye(3)[[0, 1, 2, 0]])
    entry = find_model("nin_cifar")
    model = entry.build(3, dropout=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=entry.scratch_lr)
    for _ in range(30):
        loss = model.loss(model(images), target)["cross_entropy"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3


def widths(net: nn.Module) -> list[int]:
    return [layer.out_channels for layer in net.modules() if isinstance(layer, nn.Conv2d)]


def test_googlenet_as_published_has_no_batch_norm():
    """SYS-072: biases, 5×5 and response normalisation; 22 layers with parameters (57 convolutions, one linear)."""
    net = googlenet_paper()
    convs = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convs) == 57
    assert all(conv.bias is not None for conv in convs)
    assert sum(conv.kernel_size == (5, 5) for conv in convs) == 9
    assert [name for name, layer in net.named_children() if isinstance(layer, ResponseNorm)] == ["norm1", "norm2"]
    assert list(dict(net.named_children()))[:6] == ["conv1", "maxpool1", "norm1", "conv2", "conv3", "norm2"]


def test_bn_inception_brings_both():
    """SYS-075, ERR-099: that paper has batch norm and 3×3 twice in the place of 5×5."""
    convs = [layer for layer in bn_inception().modules() if isinstance(layer, nn.Conv2d)]
    assert {conv.kernel_size for conv in convs} == {(7, 7), (1, 1), (3, 3)}
    assert all(conv.bias is None for conv in convs)
    norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in bn_inception().modules())
    assert norms == len(convs) == 69


def test_inception_v3_factorises():
    """SYS-076: 7×7 as 1×7 and 7×1 in the middle, 1×3 beside 3×1 in the coarsest maps."""
    kernels = [layer.kernel_size for layer in find_backbone("inception_v3")().modules() if isinstance(layer, nn.Conv2d)]
    assert (7, 7) not in kernels
    assert kernels.count((1, 7)) == kernels.count((7, 1)) == 4 * 3 + 1
    assert kernels.count((1, 3)) == kernels.count((3, 1)) == 4


CAFFE_MODULES = {
    "3a": (192, 64, 64, 64, 64, 96, 32), "3b": (256, 64, 64, 96, 64, 96, 64), "3c": (320, 0, 128, 160, 64, 96, 0),
    "4a": (576, 224, 64, 96, 96, 128, 128), "4b": (576, 192, 96, 128, 96, 128, 128),
    "4c": (576, 160, 128, 160, 128, 160, 128), "4d": (608, 96, 128, 192, 160, 192, 128),
    "4e": (608, 0, 128, 192, 192, 256, 0), "5a": (1056, 352, 192, 320, 160, 224, 128),
    "5b": (1024, 352, 192, 320, 192, 224, 128),
}  # fmt: skip


def caffe_layers() -> dict[str, tuple[int, int, int]]:
    """Depth in, depth out and kernel of each layer, by its name in the published file."""
    layers = {"conv1_7x7_s2": (3, 64, 7), "conv2_3x3_reduce": (64, 64, 1), "conv2_3x3": (64, 192, 3)}
    for name, (inside, one, reduce3, three, reduce_double, double, pool) in CAFFE_MODULES.items():
        rows = {
            "1x1": (inside, one, 1),
            "3x3_reduce": (inside, reduce3, 1),
            "3x3": (reduce3, three, 3),
            "double_3x3_reduce": (inside, reduce_double, 1),
            "double_3x3_1": (reduce_double, double, 3),
            "double_3x3_2": (double, double, 3),
            "pool_proj": (inside, pool, 1),
        }
        layers |= {f"inception_{name}_{key}": row for key, row in rows.items() if row[1]}
    return layers


def caffe_state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, (inside, out, kernel) in caffe_layers().items():
        spread = (2 / (inside * kernel**2)) ** 0.5
        state[f"{name}.weight"] = torch.randn(out, inside, kernel, kernel, generator=generator) * spread
        state[f"{name}.bias"] = torch.randn(out, generator=generator) * 0.1
        state[f"{name}_bn.weight"] = torch.rand(out, generator=generator) + 0.5
        state[f"{name}_bn.bias"] = torch.randn(out, generator=generator) * 0.1
        state[f"{name}_bn.running_mean"] = torch.randn(out, generator=generator) * 0.1
        state[f"{name}_bn.running_var"] = torch.rand(out, generator=generator) + 0.5
    state["last_linear.weight"] = torch.randn(5, 1024, generator=generator) * 0.03
    state["last_linear.bias"] = torch.randn(5, generator=generator) * 0.1
    return state


def caffe_logits(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The network of figure 5 in plain calls, on B, G, R less their means."""

    def unit(name: str, y: Tensor, stride: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        y = functional.conv2d(y, weight, state[f"{name}.bias"], stride, weight.shape[-1] // 2)
        parts = [state[f"{name}_bn.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(y, *parts).relu()

    def halved(y: Tensor) -> Tensor:
        return functional.max_pool2d(y, 3, 2, ceil_mode=True)

    y = halved(unit("conv1_7x7_s2", x, 2))
    y = halved(unit("conv2_3x3", unit("conv2_3x3_reduce", y)))
    for name, numbers in CAFFE_MODULES.items():

        def part(key: str, z: Tensor, stride: int = 1, name: str = name) -> Tensor:
            return unit(f"inception_{name}_{key}", z, stride)

        stride = 1 if numbers[1] else 2
        branches = [part("1x1", y)] if numbers[1] else []
        branches.append(part("3x3", part("3x3_reduce", y), stride))
        branches.append(part("double_3x3_2", part("double_3x3_1", part("double_3x3_reduce", y)), stride))
        if stride == 2:
            branches.append(halved(y))
        else:
            pooled = functional.max_pool2d(y, 3, 1, 1) if name == "5b" else functional.avg_pool2d(y, 3, 1, 1)
            branches.append(part("pool_proj", pooled))
        y = torch.cat(branches, dim=1)
    return functional.linear(y.mean(dim=(2, 3)), state["last_linear.weight"], state["last_linear.bias"])


@torch.no_grad()
def test_bn_inception_reads_the_published_file(tmp_path, make_images):
    """SYS-075: biases before the norms, B, G, R, bytes less 104, 117, 128, and the names of Caffe's layers."""
    state = caffe_state()
    torch.save(state, tmp_path / "bn_inception.pth")
    model = find_model("inception_v2").build(5).eval()
    report = load_weights(model, tmp_path / "bn_inception.pth")
    assert not report.missing
    assert not report.unexpected
    assert not report.reshaped
    images = make_images((224, 224))
    pixels = images.pixels.float().flip(1) - torch.tensor([104.0, 117, 128])[:, None, None]
    wanted = caffe_logits(state, pixels)
    scale = wanted.abs().max()
    torch.testing.assert_close(model(images).logits / scale, wanted / scale, atol=1e-4, rtol=0)
    # What the published network has beside ours: a bias for each of its norms.
    biases = sum(
        value.numel() for key, value in state.items() if key.endswith(".bias") and f"{key[:-5]}_bn.bias" in state
    )
    assert sum(p.numel() for p in find_model("inception_v2").build(1000).parameters()) + biases == 11_295_240


@torch.no_grad()
@pytest.mark.parametrize("name", ["googlenet", "inception_v2", "inception_v3", "xception"])
def test_frozen_norms_say_the_same(name):
    torch.manual_seed(0)
    build = find_backbone(name)
    free, frozen = build().eval(), build(norm=FrozenBatchNorm)
    frozen.load_state_dict(free.state_dict())
    x = noise(1, 3, 64, 64)
    found, wanted = frozen.train()(x)["c5"], free(x)["c5"]
    scale = wanted.abs().max()
    torch.testing.assert_close(found / scale, wanted / scale, atol=1e-5, rtol=0)


def test_colours_are_those_of_the_published_weights():
    assert find_backbone("googlenet")().mean == find_backbone("xception")().std == (0.5, 0.5, 0.5)
    assert find_backbone("alexnet")().mean == IMAGENET_MEAN
