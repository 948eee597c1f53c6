import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.ops import Conv2dNormActivation

from snellen.nn import ConvNormAct, SameConv2d


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
