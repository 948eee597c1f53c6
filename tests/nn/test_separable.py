import pytest
import torch
from torch.nn import functional

from snellen.nn import SeparableConv2d


def test_is_a_full_convolution_of_products():
    """SYS-077, SYS-102: one kernel per channel, then weights over channels: a full convolution with fewer numbers."""
    torch.manual_seed(0)
    layer = SeparableConv2d(3, 5, stride=2).double()
    x = torch.randn(2, 3, 7, 8, dtype=torch.float64)
    full = layer.pointwise.weight * layer.depthwise.weight[:, 0]  # 5 3 1 1 times 3 3 3
    torch.testing.assert_close(layer(x), functional.conv2d(x, full, stride=2, padding=1))


@pytest.mark.parametrize(("kernel", "out_channels"), [(3, 64), (5, 32)])
def test_share_of_the_work(kernel, out_channels):
    """Q-109, SYS-102: 1/C_out + 1/k² of a full convolution's multiply-adds."""
    layer = SeparableConv2d(16, out_channels, kernel=kernel)
    share = sum(p.numel() for p in layer.parameters()) / (16 * out_channels * kernel**2)
    assert share == pytest.approx(1 / out_channels + 1 / kernel**2)
