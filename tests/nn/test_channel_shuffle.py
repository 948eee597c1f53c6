"""Channels of groups, mixed (SYS-087, Q-110)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models.shufflenetv2 import channel_shuffle as theirs

from snellen.errors import ShapeError
from snellen.nn import ChannelShuffle, channel_shuffle


@settings(max_examples=30, deadline=None)
@given(groups=st.integers(1, 6), each=st.integers(1, 5), rows=st.integers(1, 4), last=st.booleans())
def test_equals_torchvisions(groups, each, rows, last):
    x = torch.randn(2, groups * each, rows, 3, generator=torch.Generator().manual_seed(0))
    given = x.contiguous(memory_format=torch.channels_last) if last else x
    assert torch.equal(channel_shuffle(given, groups), theirs(x, groups))


def test_deals_out_one_of_each_group():
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert ChannelShuffle(3)(x).flatten().tolist() == [0, 2, 4, 1, 3, 5]


def test_groups_times_shuffles_bring_every_channel_home():
    x = torch.randn(1, 12, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(channel_shuffle(channel_shuffle(x, 3), 4), x)


@pytest.mark.parametrize("shuffled", [True, False])
def test_who_hears_whom(shuffled):
    """Q-110: two grouped 1×1 convolutions; without a shuffle no group ever hears of another."""
    torch.manual_seed(0)
    first, second = (nn.Conv2d(6, 6, 1, groups=3, bias=False) for _ in range(2))
    x = torch.randn(1, 6, 1, 1, requires_grad=True)
    between = ChannelShuffle(3) if shuffled else nn.Identity()
    y = second(between(first(x)))
    hears = torch.stack([torch.autograd.grad(y[0, c].sum(), x, retain_graph=True)[0].flatten() for c in range(6)])
    assert ((hears != 0).float().mean() > 0.6) == shuffled
    assert ((hears != 0).float().mean().item() == pytest.approx(1 / 3)) == (not shuffled)


def test_channels_that_cannot_be_divided():
    with pytest.raises(ShapeError, match="multiple of groups = 4; got 6"):
        channel_shuffle(torch.zeros(1, 6, 1, 1), 4)


def test_gradient_is_the_shuffle_undone():
    x = torch.randn(1, 6, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda value: channel_shuffle(value, 3), (x,))
