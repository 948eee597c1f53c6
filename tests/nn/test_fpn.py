from collections import OrderedDict

import pytest
import torch
from torch import nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from snellen.errors import InputError
from snellen.nn import FeaturePyramid, coarser_map
from snellen.structures import FeatureSpec

LEVELS = tuple(
    FeatureSpec(name=name, channels=channels, stride=stride)
    for name, channels, stride in (("c3", 4, 8), ("c4", 6, 16), ("c5", 8, 32))
)


def feature_maps() -> OrderedDict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = ((13, 10), (7, 5), (4, 3))  # odd sizes: a level is not exactly half the one before
    return OrderedDict(
        (level.name, torch.randn(2, level.channels, *size, generator=generator))
        for level, size in zip(LEVELS, sizes, strict=True)
    )


@pytest.mark.parametrize(
    ("extra", "theirs_extra", "names"),
    [
        (None, None, ["p3", "p4", "p5"]),
        ("pool", LastLevelMaxPool(), ["p3", "p4", "p5", "p6"]),
        ("p6p7", LastLevelP6P7(8, 5), ["p3", "p4", "p5", "p6", "p7"]),
    ],
)
def test_equals_torchvision(extra, theirs_extra, names):
    """SYS-039: finer maps get the coarser ones added."""
    theirs = FeaturePyramidNetwork([level.channels for level in LEVELS], 5, extra_blocks=theirs_extra)
    ours = FeaturePyramid(LEVELS, 5, extra=extra)
    ours.load_state_dict(theirs.state_dict())
    wanted = list(theirs(feature_maps()).values())
    found = ours({"c2": torch.zeros(1), **feature_maps()})  # levels that were not asked for are passed over
    assert list(found) == names == [spec.name for spec in ours.features]
    for left, right in zip(found.values(), wanted, strict=True):
        torch.testing.assert_close(left, right)


def test_strides_double():
    features = FeaturePyramid(LEVELS, 5, extra="p6p7").features
    assert [spec.stride for spec in features] == [8, 16, 32, 64, 128]
    assert {spec.channels for spec in features} == {5}


def test_no_levels_is_an_error():
    with pytest.raises(InputError, match="at least one input level"):
        FeaturePyramid((), 5)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (2, 2)])
def test_gradients_of_a_coarser_map_are_right_in_bf16(size):
    """oneDNN leaves those of a map of one column uninitialised: now and then they are not numbers."""
    for seed in range(20):
        torch.manual_seed(seed)
        layer = nn.Conv2d(64, 96, 3, 2, 1)
        x = torch.randn(2, 64, *size)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = coarser_map(layer, x)
        (gradient,) = torch.autograd.grad(found.float().sum(), layer.weight)
        (wanted,) = torch.autograd.grad(layer(x).sum(), layer.weight)
        torch.testing.assert_close(gradient, wanted, atol=0.2, rtol=0.1)
