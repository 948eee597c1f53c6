import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.ops import Conv2dNormActivation

from snellen.nn import ConvNormAct, FrozenBatchNorm, SameConv2d, conv_norm


def test_keys_and_result_equal_torchvision():
    theirs = Conv2dNormActivation(4, 6, kernel_size=3, stride=2, groups=2).eval()
    ours = ConvNormAct(4, 6, stride=2, groups=2).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 4, 9, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x))


def reference_same(x: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
    """TensorFlow's formula, term by term: pad the input, then convolve without padding."""
    pads = []
    for axis in (1, 0):  # torch's pad counts from the last axis
        size, kernel, stride = x.shape[axis + 2], conv.kernel_size[axis], conv.stride[axis]
        total = max(kernel - stride, 0) if size % stride == 0 else max(kernel - size % stride, 0)
        pads += [total // 2, total - total // 2]
    return nn.functional.conv2d(nn.functional.pad(x, pads), conv.weight, None, conv.stride, 0, 1, conv.groups)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 3),
)
def test_same_padding_equals_tensorflow_formula(height, width, kernel, stride):
    generator = torch.Generator().manual_seed(height * 13 + width)
    conv = SameConv2d(2, 3, kernel, stride, kernel // 2, bias=False)
    x = torch.randn(1, 2, height, width, generator=generator)
    wanted = reference_same(x, conv)
    assert wanted.shape[-2:] == (-(-height // stride), -(-width // stride))
    torch.testing.assert_close(conv(x), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [8, 9])
def test_same_differs_from_torch_only_where_the_surplus_is_odd(size):
    torch.manual_seed(0)
    plain, same = ConvNormAct(3, 4, stride=2).eval(), ConvNormAct(3, 4, stride=2, padding="same").eval()
    same.load_state_dict(plain.state_dict())
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(plain(x), same(x), atol=1e-6) == (size == 9)


def frozen_norm(channels: int) -> FrozenBatchNorm:
    generator = torch.Generator().manual_seed(1)
    norm = FrozenBatchNorm(channels)
    for name, value in norm.named_buffers():
        value.copy_(torch.randn(channels, generator=generator))
        if name in ("running_var", "weight"):
            value.abs_().add_(0.1)
    return norm


CONVOLUTIONS = {
    "plain": lambda: nn.Conv2d(4, 6, 3, 2, 1, bias=False),
    "biased": lambda: nn.Conv2d(4, 6, 1),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
    "holes": lambda: nn.Conv2d(4, 6, 3, padding=2, dilation=2, bias=False),
    "same": lambda: SameConv2d(4, 6, 3, 2, 1, bias=False),
    "same, biased": lambda: SameConv2d(4, 6, 5, 3, 2),
    "reflected": lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect", bias=False),
    "padded by name": lambda: nn.Conv2d(4, 6, 3, padding="same", bias=False),
}


@pytest.mark.parametrize("build", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_one_convolution_equals_two_layers(build, monkeypatch):
    """SYS-361: result and gradients of the weight, the bias and the input, in double precision."""
    torch.manual_seed(0)
    conv = build()
    norm = frozen_norm(conv.out_channels)
    conv.double(), norm.double()
    x = torch.randn(2, 4, 40, 39, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    told = torch.randn(norm(conv(x)).shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    learned = [x, *conv.parameters()]
    two = norm(conv(x))
    if conv.padding_mode == "zeros":
        monkeypatch.setattr(FrozenBatchNorm, "forward", lambda *_: pytest.fail("called"))
    one = conv_norm(conv, norm, x)
    torch.testing.assert_close(one, two)
    torch.testing.assert_close(
        torch.autograd.grad((one * told).sum(), learned), torch.autograd.grad((two * told).sum(), learned)
    )


def _called(layer: nn.Module) -> list[nn.Module]:
    calls: list[nn.Module] = []
    layer.register_forward_hook(lambda module, args, result: calls.append(module))
    return calls


def test_a_frozen_norm_is_not_called_unless_it_is_watched(monkeypatch):
    conv, norm = nn.Conv2d(4, 6, 1, bias=False), frozen_norm(6)
    x = torch.randn(1, 4, 3, 3)
    with monkeypatch.context() as patched:
        patched.setattr(FrozenBatchNorm, "forward", lambda *_: pytest.fail("called"))
        conv_norm(conv, norm, x)
    for layer in (norm, conv):
        calls = _called(layer)
        conv_norm(conv, norm, x)
        assert calls == [layer]
        layer._forward_hooks.clear()


@pytest.mark.parametrize(("side", "is_called"), [(16, True), (17, False), (40, False)])
def test_a_small_map_is_not_worth_a_scaled_weight(side, is_called, monkeypatch):
    """Of 16 × 9 weights for each channel, twice as many cells are wanted."""
    calls = []
    forward = FrozenBatchNorm.forward
    monkeypatch.setattr(FrozenBatchNorm, "forward", lambda self, x: calls.append(self) or forward(self, x))
    conv, norm, x = nn.Conv2d(16, 6, 3, padding=1, bias=False), frozen_norm(6), torch.randn(1, 16, side, side)
    found = conv_norm(conv, norm, x)
    assert bool(calls) == is_called
    torch.testing.assert_close(found, norm(conv(x)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("make", [nn.BatchNorm2d, lambda channels: nn.GroupNorm(2, channels)])
def test_other_norms_are_called(make):
    conv, norm = nn.Conv2d(4, 6, 1, bias=False), make(6)
    calls = _called(norm)
    conv_norm(conv, norm, torch.randn(2, 4, 3, 3))
    assert calls == [norm]


def test_a_subclass_does_what_it_does():
    class Doubled(nn.Conv2d):
        def forward(self, input):  # noqa: A002 - the name in nn.Conv2d
            return 2 * super().forward(input)

    conv, norm, x = Doubled(4, 6, 1), frozen_norm(6), torch.randn(1, 4, 3, 3)
    torch.testing.assert_close(conv_norm(conv, norm, x), norm(conv(x)))


@pytest.mark.parametrize("activation", [None, nn.ReLU])
@pytest.mark.parametrize("padding", ["torch", "same"])
def test_the_block_with_a_frozen_norm(activation, padding):
    torch.manual_seed(0)
    block = ConvNormAct(4, 6, stride=2, norm=frozen_norm, activation=activation, padding=padding)
    x = torch.randn(1, 4, 24, 24)
    torch.testing.assert_close(block(x), nn.Sequential(*block)(x), atol=1e-5, rtol=1e-4)


def test_autocast_computes_in_half_precision():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv_norm(nn.Conv2d(4, 6, 1), frozen_norm(6), torch.randn(1, 4, 9, 9)).dtype == torch.bfloat16
