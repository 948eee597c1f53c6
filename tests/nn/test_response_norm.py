import pytest
import torch
from torch import nn

from snellen.nn import ResponseNorm, WithinChannelNorm


@pytest.mark.parametrize("channels", [2, 7])
@pytest.mark.parametrize("size", [3, 5])
def test_equals_torchs(size, channels):
    """SYS-122: values and gradients, also where the window is wider than the map is deep."""
    x = torch.randn(2, channels, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 20
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    found = ResponseNorm(size, alpha=5e-4, beta=0.75, k=2.0)(ours)
    wanted = nn.LocalResponseNorm(size, alpha=5e-4, beta=0.75, k=2.0)(theirs)
    torch.testing.assert_close(found, wanted)
    found.square().sum().backward()
    wanted.square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_strong_response_damps_its_neighbours():
    """Krizhevsky et al. 2012, section 3.3: competition among channels; it has no parameters, unlike batch norm."""
    quiet, loud = torch.ones(1, 8, 1, 1), torch.ones(1, 8, 1, 1)
    loud[0, 4] = 100
    norm = ResponseNorm(5, alpha=5.0, beta=0.75, k=2.0)
    assert not list(norm.parameters())
    weaker = (norm(loud) < norm(quiet)).flatten().tolist()
    assert [weaker[place] for place in (2, 3, 5, 6)] == [True] * 4
    assert [weaker[place] for place in (0, 1, 7)] == [False] * 3


def test_within_channel_norm_leaves_other_channels_alone():
    x = torch.ones(1, 2, 3, 3)
    x[0, 0] = 50
    norm = WithinChannelNorm(3, alpha=1.0, beta=0.5)
    torch.testing.assert_close(norm(x)[:, 1:], norm(x[:, 1:]))
