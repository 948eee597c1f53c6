"""Maxout in the place of a network's activations (SYS-134, NUM-038)."""

import pytest
import torch
from torch import nn

from snellen.errors import ConfigError
from snellen.models import change_activations, count_parameters, find_model, norm_named
from snellen.models.maxout import largest_of_normals
from snellen.models.tracing import RunTracer, traced_modules
from snellen.nn import Maxout
from snellen.structures import ImageBatch

TAKERS = ["vgg11_bn", "lenet5_modern", "mobilenet_v2", "cifar_plain20"]


def batch(side: int = 32, count: int = 2) -> ImageBatch:
    size = torch.full((count, 2), side)
    pixels = torch.randint(
        0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return ImageBatch(pixels=pixels, sizes=size, original_sizes=size)


def built(name: str):
    torch.manual_seed(0)
    return find_model(name).build(3, **({"fc_width": 16} if name.startswith("vgg") else {}))


@pytest.mark.parametrize("name", TAKERS)
def test_every_activation_becomes_maxout_and_everything_learns(name):
    model = built(name)
    plain = built(name)
    assert change_activations(model, "maxout") > 0
    assert not any(isinstance(layer, nn.ReLU | nn.ReLU6 | nn.LeakyReLU) for layer in model.modules())
    assert model.backbone.features == plain.backbone.features
    model.train()
    output = model(batch())
    assert output.logits.shape == (2, 3)
    output.logits.square().sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())
    assert all(module.training for module in model.modules())


def test_weights_are_doubled():
    """NUM-038: two sets of weights for two pieces; a layer that feeds no activation keeps its own."""
    model = built("nin_cifar")
    before = count_parameters(model)
    change_activations(model, "maxout")
    assert count_parameters(model) == 2 * before
    model = built("cifar_plain20")
    last = model.head.linear.weight.shape
    change_activations(model, "maxout")
    assert model.head.linear.weight.shape == last


def test_pieces_of_a_unit_read_the_same_channels_in_grouped_convolutions():
    model = built("mobilenet_v2")
    change_activations(model, "maxout")
    depthwise = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1]
    assert all(layer.out_channels == 2 * layer.in_channels == 2 * layer.groups for layer in depthwise)
    x = torch.zeros(1, depthwise[0].in_channels, 5, 5)
    x[:, 3] = 1
    seen = Maxout(2)(depthwise[0](x)).abs().sum((0, 2, 3))
    assert seen.nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize("norm", ["group", "instance"])
def test_norms_between_grow(norm):
    model = find_model("plain18").build(3, norm=norm_named(norm))
    groups = [layer.num_groups for layer in model.modules() if isinstance(layer, nn.GroupNorm)]
    change_activations(model, "maxout")
    after = [layer.num_groups for layer in model.modules() if isinstance(layer, nn.GroupNorm)]
    assert after == ([2 * count for count in groups] if norm == "instance" else groups)
    assert model.eval()(batch()).logits.isfinite().all()


def test_a_deep_network_hands_on_the_signal_that_it_gets():
    """Tseran and Montúfar 2023: with their spread the mean square neither grows nor fades, over 19 layers."""
    torch.manual_seed(0)
    model = find_model("cifar_plain20").build(3, norm=norm_named("none"))
    change_activations(model, "maxout")
    x = torch.randn(4, 3, 64, 64)
    after = model.backbone(x)["c2"].detach().square().mean()
    assert 0.1 < float(after) < 10


@pytest.mark.parametrize(("count", "constant"), [(2, 1.0), (3, 0.78391), (4, 0.64461), (5, 0.55555)])
def test_the_spread_is_that_of_the_paper(count, constant):
    draws = torch.randn(200_000, count, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).amax(1)
    assert largest_of_normals(count) == pytest.approx(float(draws.square().mean()), rel=0.02)
    assert 1 / largest_of_normals(count) == pytest.approx(constant, rel=0.01)


def test_receptive_fields_are_followed_through():
    plain, model = built("vgg11_bn"), built("vgg11_bn")
    change_activations(model, "maxout")
    found = []
    for network in (plain, model):
        x = torch.zeros(1, 3, 64, 64)
        tracer = RunTracer(x)
        with traced_modules(tracer, network.backbone):
            maps = network.backbone(x)
        found.append(tracer.reach(maps["c3"]).spans)
    assert (found[0][0].low == found[1][0].low).all()
    assert (found[0][1].high == found[1][1].high).all()


@pytest.mark.parametrize("name", ["resnet18", "cifar_resnet20", "xception"])
def test_sums_are_no_affine_maps(name):
    with pytest.raises(ConfigError, match=r"stands behind a sum .* Networks that take it: VGG"):
        change_activations(built(name), "maxout")


def test_networks_without_activations_are_told():
    with pytest.raises(ConfigError, match="has no activation"):
        change_activations(built("lenet5"), "maxout")


def test_models_that_a_blank_image_does_not_run_are_told():
    with pytest.raises(ConfigError, match="cannot be run so"):
        change_activations(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), "maxout")
