"""The layer that chooses between two ways to the same convolution, and the change of a model to such layers."""

import copy
import io

import pytest
import torch
from torch import nn
from torchvision.models import vgg16

import snellen.nn.winograd as layers
from snellen.nn import FrozenBatchNorm, WinogradConv2d, conv_norm, quick_layout, use_winograd

CHANNELS = 80


def layer_and_map(size=24, *, batch=4, bias=True):
    generator = torch.Generator().manual_seed(size)
    layer = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=bias)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 30)
    x = torch.randn(batch, CHANNELS, size, size, generator=generator).to(memory_format=torch.channels_last)
    return layer, x


@pytest.fixture
def quick_calls(monkeypatch):
    """Count the calls that go Winograd's way."""
    calls = []

    def counted(x, *arguments, **options):
        calls.append(tuple(x.shape))
        return quick(x, *arguments, **options)

    quick = layers.winograd_conv
    monkeypatch.setattr(layers, "winograd_conv", counted)
    return calls


def test_model_computes_the_same_and_keeps_its_keys(quick_calls):
    torch.manual_seed(0)
    model = vgg16(weights=None, num_classes=10).features.eval()
    x = torch.randn(1, 3, 96, 96).to(memory_format=torch.channels_last)
    keys = list(model.state_dict())
    with torch.inference_mode():
        expected = model(x)
        quick_layout(model)
        got = model(x)
    assert len(quick_calls) >= 5
    assert list(model.state_dict()) == keys
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_gradients_are_those_of_the_direct_sum(quick_calls):
    plain, x = layer_and_map()
    quick = copy.deepcopy(plain)
    assert use_winograd(quick) == 1
    coming = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    found = []
    for layer in (plain, quick):
        seen = x.clone().requires_grad_()
        layer(seen).backward(coming)
        found.append([seen.grad, layer.weight.grad, layer.bias.grad])
    assert len(quick_calls) == 1
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=2e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(64, 64, 3),  # too few channels
        nn.Conv2d(256, 16, 3),
        nn.Conv2d(128, 128, 1),
        nn.Conv2d(128, 128, 3, stride=2),
        nn.Conv2d(128, 128, 3, dilation=2),
        nn.Conv2d(128, 128, 3, groups=2),
        nn.Conv2d(128, 128, 3, padding="same"),
        nn.Conv2d(128, 128, 3, padding=(1, 0)),
        nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose2d(128, 128, 3),
        type("Other", (nn.Conv2d,), {})(128, 128, 3),
    ],
    ids=str,
)
def test_leaves_other_layers_alone(layer):
    kind = type(layer)
    assert use_winograd(nn.Sequential(layer)) == 0
    assert type(layer) is kind


@pytest.mark.parametrize(
    "way", ["autocast", "float64", "contiguous", "one image", "small map", "traced", "exported", "transformed"]
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*deprecated")
def test_takes_the_usual_way_elsewhere(way, quick_calls):
    layer, x = layer_and_map(4 if way == "small map" else 24)
    use_winograd(layer)
    if way == "float64":
        layer, x = layer.double(), x.double()
    x = {"contiguous": x.contiguous(), "one image": x[0]}.get(way, x)
    with torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast"):
        if way == "traced":
            torch.jit.trace(layer, x, check_trace=False)
        elif way == "exported":
            torch.export.export(layer, (x,))
        elif way == "transformed":
            torch.func.grad(lambda image: layer(image).sum())(x)
        else:
            layer(x)
    assert not quick_calls


def test_the_way_is_chosen_by_shapes_alone(quick_calls):
    """What was computed before must not matter, or a training that goes on would differ from one that was unbroken."""
    layer, small = layer_and_map(8)  # 16 tiles
    large = layer_and_map(24)[1]
    use_winograd(layer)
    layer(small)
    assert not quick_calls
    layer(large)
    with torch.no_grad():
        layer(small)
    assert len(quick_calls) == 2
    layer(small)  # although kernels are kept by now
    assert len(quick_calls) == 2


def changed_by_data(layer):
    layer.weight.data *= 2


def changed_by_optimizer(layer):
    layer.weight.grad = torch.ones_like(layer.weight)
    torch.optim.SGD(layer.parameters(), lr=1.0).step()


def changed_by_loading(layer):
    layer.load_state_dict({key: value * 3 for key, value in layer.state_dict().items()})


@pytest.mark.parametrize("change", [changed_by_data, changed_by_optimizer, changed_by_loading])
def test_sees_every_change_of_its_weight(change):
    layer, x = layer_and_map()
    use_winograd(layer)
    layer(x)
    change(layer)
    with torch.no_grad():
        expected = nn.functional.conv2d(x, layer.weight, layer.bias, padding=1)
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5 * float(expected.detach().abs().max()))


def test_predicts_learns_and_predicts_again():
    layer, x = layer_and_map()
    use_winograd(layer)
    with torch.inference_mode():
        before = layer(x)
    layer(x).sum().backward()
    with torch.inference_mode():
        assert torch.equal(layer(x), before)


def test_copies_and_pickles_without_what_can_be_computed():
    layer, x = layer_and_map()
    use_winograd(layer)
    size = saved_size(layer)
    expected = layer(x)
    assert saved_size(layer) == size
    twin = copy.deepcopy(layer)
    assert twin._kept is None
    assert torch.equal(twin(x), expected)


def saved_size(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    return len(file.getvalue())


def test_goes_together_with_a_frozen_norm(quick_calls):
    conv, x = layer_and_map(48, bias=False)
    norm = FrozenBatchNorm(CHANNELS)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    expected = norm(conv(x))
    use_winograd(conv)
    assert isinstance(conv, WinogradConv2d)
    got = conv_norm(conv, norm, x)
    assert len(quick_calls) == 1
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * float(expected.detach().abs().max()))
