import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.nn import (
    Branches,
    InceptionConv,
    asymmetric_convs,
    inception_naive,
    inception_v1,
    inception_v2,
    inception_v2_reduction,
    inception_v3_8,
    inception_v3_17,
    inception_v3_35,
    inception_v3_reduction_8,
    inception_v3_reduction_17,
)

# Szegedy et al. 2014, table 1: what the module reads, its widths, weights in units of 1024, and what it returns. Rows
# whose printed weights contradict their own widths (4c: 463 for 497.5) are left out.
TABLE_1 = {
    "3a": (192, (64, 96, 128, 16, 32, 32), 159, 256),
    "3b": (256, (128, 128, 192, 32, 96, 64), 380, 480),
    "4b": (512, (160, 112, 224, 24, 64, 64), 437, 512),
}


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def num_weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.dim() == 4)


@pytest.mark.parametrize("name", TABLE_1)
def test_modules_have_the_weights_of_the_papers_table(name):
    """SYS-073: rows of table 1; the module has four branches (NUM-060)."""
    channels, widths, thousands, returned = TABLE_1[name]
    module = inception_v1(channels, widths, norm=None)
    assert num_weights(module) / 1024 == pytest.approx(thousands, abs=1.5)
    assert len(list(module.children())) == 4
    assert module(noise(1, channels, 5, 6)).shape == (1, returned, 5, 6)


def test_the_naive_module_costs_more_and_grows():
    """SYS-073, Q-108: without 1×1 before 3×3 and 5×5 module 3a has more than twice the weights, and a deeper output."""
    bottled = inception_v1(192, TABLE_1["3a"][1], norm=None)
    naive = inception_naive(192, (64, 128, 32))
    assert num_weights(naive) == 192 * (64 + 9 * 128 + 25 * 32)
    assert num_weights(naive) > 2.3 * num_weights(bottled)
    assert naive(noise(1, 192, 4, 4)).shape[1] == 64 + 128 + 32 + 192
    assert bottled(noise(1, 192, 4, 4)).shape[1] == 256


@torch.no_grad()
def test_a_module_is_its_branches_side_by_side():
    """ERR-090: 1×1 convolutions are all that it has of Network in Network."""
    torch.manual_seed(0)
    module = inception_v1(8, (2, 3, 4, 2, 3, 5), norm=None).double()
    x = noise(2, 8, 6, 7).double()

    def conv(unit, y, padding=0):
        return functional.conv2d(y, unit.conv.weight, unit.conv.bias, padding=padding).relu()

    wanted = torch.cat(
        [
            conv(module.branch1, x),
            conv(module.branch2[1], conv(module.branch2[0], x), 1),
            conv(module.branch3[1], conv(module.branch3[0], x), 2),
            conv(module.branch4[1], functional.max_pool2d(x, 3, 1, 1)),
        ],
        dim=1,
    )
    torch.testing.assert_close(module(x), wanted)


@torch.no_grad()
def test_asymmetric_convolutions_are_one_of_rank_one():
    """SYS-076, SYS-097, ERR-070: 1×n and n×1, with a ReLU between that passes all, are one n×n kernel of rank one."""
    for rows_first in (False, True):
        first, second = asymmetric_convs(1, 1, length=5, rows_first=rows_first, norm=None)
        for unit in (first, second):
            unit.conv.weight.copy_(unit.conv.weight.abs())
            unit.conv.bias.zero_()
        x = noise(1, 1, 9, 11).abs()
        kernel = (first.conv.weight.flatten()[:, None] * second.conv.weight.flatten()[None])[None, None]
        kernel = kernel if rows_first else kernel.transpose(-1, -2)
        torch.testing.assert_close(second(first(x)), functional.conv2d(x, kernel, padding=2))


@pytest.mark.parametrize("length", [3, 7])
def test_asymmetric_convolutions_have_two_nths_of_the_weights(length):
    """SYS-097: Szegedy et al. 2015, section 3.2: 3×3 as 3×1 and 1×3 is 33 % cheaper."""
    pair = nn.Sequential(*asymmetric_convs(6, 6, length=length))
    assert num_weights(pair) / num_weights(InceptionConv(6, 6, (length, length))) == pytest.approx(2 / length)


def test_two_convolutions_of_3_see_as_far_as_one_of_5_for_less():
    """SYS-075, NUM-062, SYS-095, ERR-069: 28 % cheaper at equal depth (Szegedy et al. 2015, section 3.1)."""
    pair = nn.Sequential(InceptionConv(4, 4, (3, 3), norm=None), InceptionConv(4, 4, (3, 3), norm=None))
    whole = InceptionConv(4, 4, (5, 5), norm=None)
    assert 1 - num_weights(pair) / num_weights(whole) == pytest.approx(0.28)
    for module in (pair, whole):
        for p in module.parameters():
            nn.init.constant_(p, 0.1)
        x = torch.zeros(1, 4, 11, 11, requires_grad=True)
        module(x)[0, 0, 5, 5].backward()
        assert x.grad[0].abs().sum(dim=0).nonzero().min(dim=0).values.tolist() == [3, 3]
        assert x.grad[0].abs().sum(dim=0).nonzero().max(dim=0).values.tolist() == [7, 7]


@torch.no_grad()
@pytest.mark.parametrize(
    ("module", "channels", "returned"),
    [
        (inception_v2(8, (2, 3, 4, 2, 5, 6)), 8, 17),
        (inception_v2(8, (2, 3, 4, 2, 5, 6), mean_pool=False), 8, 17),
        (inception_v3_35(192, 32), 192, 256),
        (inception_v3_17(16, 8), 16, 768),
        (inception_v3_8(16), 16, 2048),
    ],
)
def test_modules_keep_the_size(module, channels, returned):
    assert module.eval()(noise(1, channels, 5, 6)).shape == (1, returned, 5, 6)


@torch.no_grad()
@pytest.mark.parametrize(
    ("build", "returned", "sizes"),
    [
        (lambda **_: inception_v2_reduction(8, (2, 3, 4, 5)), 16, [(4, 3)]),
        (lambda **options: inception_v3_reduction_17(8, **options), 488, [(4, 3), (3, 2)]),
        (lambda **options: inception_v3_reduction_8(8, **options), 520, [(4, 3), (3, 2)]),
    ],
)
def test_reductions_halve_the_map(build, returned, sizes):
    """The pool passes every channel on; unpadded, 35 becomes 17 and 17 becomes 8."""
    for padded, size in zip((True, False), sizes, strict=False):
        assert build(padded=padded).eval()(noise(1, 8, 7, 6)).shape == (1, returned, *size)


def test_branches_stand_in_their_order():
    module = Branches(low=nn.Identity(), high=nn.ReLU())
    x = noise(1, 2, 3, 3)
    torch.testing.assert_close(module(x), torch.cat([x, x.relu()], dim=1))
