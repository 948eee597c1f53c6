"""L2Norm against torch's own normalisation."""

import torch
from torch.nn import functional

from snellen.nn import L2Norm


def test_equals_scaled_normalize():
    """SYS-123: every place gets one length, and its gradient."""
    torch.manual_seed(0)
    layer = L2Norm(5, scale=20.0).double()
    with torch.no_grad():
        layer.weight += torch.rand(5)
    x = (torch.randn(2, 5, 4, 3, dtype=torch.float64) * 100).requires_grad_()
    expected = functional.normalize(x, dim=1) * layer.weight[:, None, None]
    torch.testing.assert_close(layer(x), expected)
    wanted = torch.autograd.grad((expected**2).sum() + expected.sum(), (x, layer.weight))
    got = torch.autograd.grad((layer(x) ** 2).sum() + layer(x).sum(), (x, layer.weight))
    for mine, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(mine, other)
    torch.testing.assert_close(L2Norm(5)(x.detach().float()).norm(dim=1), torch.full((2, 4, 3), 20.0))


def test_places_of_zeros_stay_zero_and_finite():
    x = torch.zeros(1, 4, 2, 2, requires_grad=True)
    y = L2Norm(4)(x)
    y.sum().backward()
    assert not y.any()
    assert x.grad.isfinite().all()


def test_half_precision_keeps_its_type_and_layout():
    x = (torch.randn(2, 512, 3, 3) * 300).bfloat16().contiguous(memory_format=torch.channels_last)
    y = L2Norm(512)(x)
    assert y.dtype == torch.bfloat16
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y.detach().float().norm(dim=1), torch.full((2, 3, 3), 20.0), rtol=0.02, atol=0)
