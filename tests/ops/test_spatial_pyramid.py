"""Spatial pyramid pooling against a plain loop over the paper's formulas (SYS-014, ERR-126)."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from snellen.ops import spatial_pyramid_pool


def a_map(height=9, width=13, channels=3, batch=2, seed=0):
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))


def span(low, high, size, stride):
    """He et al. 2014, appendix A: ⌊x / S⌋ + 1 and ⌈x / S⌉ − 1."""
    first, last = math.floor(low / stride) + 1, math.ceil(high / stride) - 1
    if first > last:
        first = last = math.floor((low + high) / 2 / stride + 0.5)
    return min(max(first, 0), size - 1), min(max(last, 0), size - 1)


def reference(features, boxes, image, levels, stride):
    result = []
    for box, index in zip(boxes.tolist(), image.tolist(), strict=True):
        height, width = features.shape[-2:]
        left, right = span(box[0], box[2], width, stride)
        top, bottom = span(box[1], box[3], height, stride)
        region = features[index, :, top : bottom + 1, left : right + 1]
        rows, columns = region.shape[-2:]
        bins = []
        for level in levels:
            for i in range(level):
                for j in range(level):
                    down = slice(math.floor(i * rows / level), math.ceil((i + 1) * rows / level))
                    right_ = slice(math.floor(j * columns / level), math.ceil((j + 1) * columns / level))
                    bins.append(region[:, down, right_].amax(dim=(1, 2)))
        result.append(torch.stack(bins, dim=1))
    return torch.stack(result)


side = st.one_of(st.floats(-60, 220, width=32), st.sampled_from([0.0, 8.0, 16.0, 24.0, 96.0, 1e6, -1e6]))


@given(
    st.lists(st.tuples(side, side, side, side, st.integers(0, 1)), min_size=1, max_size=6),
    st.sampled_from([(1, 2, 3, 6), (4,), (2, 7)]),
    st.sampled_from([8, 12, 16]),
)
@settings(max_examples=80, deadline=None)
def test_is_the_plain_loop(values, levels, stride):
    table = torch.tensor(values, dtype=torch.float64)
    x, y = table[:, [0, 2]].sort(dim=1).values, table[:, [1, 3]].sort(dim=1).values
    boxes = torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], dim=1)
    image = table[:, 4].long()
    got = spatial_pyramid_pool(a_map(), boxes, image, levels=levels, scale=1 / stride)
    assert torch.equal(got, reference(a_map(), boxes, image, levels, stride))


def test_a_large_map_in_sevens():
    """57 cells in 7 bins: in float32, 7 × (57 / 7) is above 57, and the last bin would reach too far."""
    features = torch.zeros(1, 1, 60, 60)
    features[..., 57:, :] = features[..., 57:] = 9
    box = torch.tensor([[-1.0, -1, 57, 57]])
    pooled = spatial_pyramid_pool(features, box, torch.tensor([0]), levels=(7,), scale=1.0)
    assert (pooled == 0).all()


def test_the_whole_map_is_adaptive_max_pooling():
    """The same bins as torch's, whatever the size of the map: 50 numbers for each channel."""
    for height, width in [(9, 13), (6, 6), (5, 20), (31, 7)]:
        features = a_map(height, width)
        boxes = torch.tensor([[-1.0, -1, 16 * width, 16 * height]]).expand(2, 4)
        pooled = spatial_pyramid_pool(features, boxes, torch.arange(2), scale=1 / 16)
        parts = [functional.adaptive_max_pool2d(features, level).flatten(2) for level in (1, 2, 3, 6)]
        assert pooled.shape == (2, 3, 50)
        assert torch.equal(pooled, torch.cat(parts, dim=2))


def test_bins_overlap_by_rounding():
    features = torch.arange(3.0).view(1, 1, 1, 3)
    box = torch.tensor([[-1.0, -1, 24, 8]])
    pooled = spatial_pyramid_pool(-features, box, torch.tensor([0]), levels=(2,), scale=1 / 8)
    assert pooled[0, 0, :2].tolist() == [0, -1]  # cells 0-1 and 1-2


def test_gradient():
    """SYS-113: all of it goes to the largest cell of each bin."""
    features = a_map(5, 6, 2, seed=1).double().requires_grad_()
    boxes, image = torch.tensor([[0.0, 0, 40, 40], [10, 5, 47, 30]]), torch.tensor([0, 1])
    assert torch.autograd.gradcheck(
        lambda maps: spatial_pyramid_pool(maps, boxes, image, levels=(1, 3), scale=1 / 8), features
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_empty_and_not_finite(dtype):
    features = a_map().to(dtype).requires_grad_()
    pooled = spatial_pyramid_pool(features, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), scale=1 / 8)
    assert pooled.shape == (0, 3, 50)
    nan, inf = torch.nan, torch.inf
    boxes = torch.tensor([[nan] * 4, [-inf, -inf, inf, inf], [inf] * 4, [50, 50, 10, 10]])
    pooled = spatial_pyramid_pool(features, boxes, torch.ones(4, dtype=torch.long), scale=1 / 8)
    assert pooled.isfinite().all()
