"""Pooling of regions against torchvision's kernels, in values and in gradients."""

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import MultiScaleRoIAlign

from snellen.ops import pyramid_level, pyramid_roi_align, roi_align, roi_pool

STRIDES = (4, 8, 16, 32)


def rois(boxes, image):
    return torch.cat([image[:, None].to(boxes.dtype), boxes], dim=1)


def a_map(height=9, width=13, channels=3, batch=2, seed=0):
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))


# Within the map, across its border, outside of it, slivers, points, inside out, and far away.
coordinate = st.one_of(st.floats(-80, 160, width=32), st.sampled_from([0.0, -4.0, -8.0, 72.0, 104.0, 1e6, -1e6]))
rows = st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate, st.integers(0, 1)), max_size=5)


@given(rows, st.sampled_from([(1, 1), (3, 2), (7, 2)]), st.sampled_from([1 / 4, 1 / 8]))
def test_roi_align_is_torchvisions(values, bins_and_sampling, scale):
    """SYS-018."""
    bins, sampling = bins_and_sampling
    table = torch.tensor(values, dtype=torch.float64).reshape(-1, 5)
    boxes, image = table[:, :4], table[:, 4].long()
    features = a_map().double()
    ours, theirs = features.clone().requires_grad_(), features.clone().requires_grad_()
    got = roi_align(ours, boxes, image, output_size=bins, scale=scale, sampling=sampling)
    expected = torchvision.ops.roi_align(theirs, rois(boxes, image), bins, scale, sampling, aligned=False)
    assert got.shape == (len(values), 3, bins, bins)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
    weight = torch.randn(got.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (got * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("canvas", [(128, 128), (96, 160), (99, 131)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_pyramid_roi_align_is_torchvisions(random_boxes, canvas, channels_last):
    sizes = [(-(-canvas[0] // stride), -(-canvas[1] // stride)) for stride in STRIDES]
    maps = [a_map(*size, seed=level) for level, size in enumerate(sizes)]
    if channels_last:
        maps = [feature.contiguous(memory_format=torch.channels_last) for feature in maps]
    boxes = torch.cat([random_boxes(30, canvas), random_boxes(30, (40, 40), seed=1) * 20])
    image = torch.arange(60) % 2
    level = pyramid_level(boxes, lowest=2, highest=5)
    assert len(level.unique()) == len(STRIDES)
    ours = [feature.clone().requires_grad_() for feature in maps]
    theirs = [feature.clone().requires_grad_() for feature in maps]
    got = pyramid_roi_align(ours, boxes, image, level, output_size=7, scales=[1 / stride for stride in STRIDES])
    pool = MultiScaleRoIAlign([str(stride) for stride in STRIDES], 7, 2)
    # It guesses scales from the sizes, by powers of two: the canvas whose maps these are.
    guessed = [(sizes[0][0] * 4, sizes[0][1] * 4)] * 2
    # It takes the boxes of each image and returns them in that order.
    names = map(str, STRIDES)
    expected = pool(dict(zip(names, theirs, strict=True)), [boxes[image == row] for row in range(2)], guessed)
    order = torch.cat([(image == row).nonzero()[:, 0] for row in range(2)])
    torch.testing.assert_close(got[order], expected, rtol=1e-4, atol=1e-5)
    got.square().sum().backward()
    expected.square().sum().backward()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-4)


@given(st.floats(0.125, 4000, width=32), st.floats(0.125, 4000, width=32))
def test_levels_are_torchvisions(width, height):
    mapper = torchvision.ops.poolers.LevelMapper(2, 5)
    boxes = torch.tensor([[3.0, 5.0, 3.0 + width, 5.0 + height]])
    assert torch.equal(pyramid_level(boxes, lowest=2, highest=5), mapper([boxes]))


@pytest.mark.parametrize("side", [112.0, 224.0, 448.0])
def test_levels_turn_at_the_canonical_size(side):
    box = torch.tensor([[0.0, 0, side, side]])
    smaller = torch.tensor([[0.0, 0, side - 0.1, side - 0.1]])
    level = pyramid_level(box, lowest=2, highest=5)
    assert level == {112.0: 1, 224.0: 2, 448.0: 3}[side]
    assert pyramid_level(smaller, lowest=2, highest=5) == level - 1


def test_gradient_in_float64(random_boxes):
    """SYS-183: against finite differences."""
    maps = [a_map(4, 5, 2).double().requires_grad_(), a_map(2, 3, 2, seed=1).double().requires_grad_()]
    boxes, image, level = random_boxes(3, (16, 20)), torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0])

    def pooled(first, second):
        return pyramid_roi_align([first, second], boxes, image, level, output_size=2, scales=[1 / 4, 1 / 8])

    assert torch.autograd.gradcheck(pooled, maps)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_dtypes_forward_and_backward(random_boxes, dtype):
    boxes, image = random_boxes(20, (72, 104)), torch.arange(20) % 2
    exact = a_map().requires_grad_()
    other = a_map().to(dtype).requires_grad_()
    expected = roi_align(exact, boxes, image, output_size=7, scale=1 / 8)
    got = roi_align(other, boxes, image, output_size=7, scale=1 / 8)
    assert got.dtype == dtype
    precision = {torch.float64: 1e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}[dtype]
    torch.testing.assert_close(got.float(), expected, rtol=precision, atol=precision)
    expected.sum().backward()
    got.sum().backward()
    assert other.grad.dtype == dtype
    assert (other.grad.float() - exact.grad).norm() < precision * exact.grad.norm()


def test_empty_in_empty_out():
    features, none, image = a_map().requires_grad_(), torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    pooled = roi_align(features, none, image, output_size=7, scale=1 / 8)
    assert pooled.shape == (0, 3, 7, 7)
    pooled.sum().backward()
    assert torch.equal(features.grad, torch.zeros_like(features))
    assert pyramid_level(none, lowest=2, highest=5).shape == (0,)
    assert roi_pool(a_map(), none, image, output_size=7, scale=1 / 8).shape == (0, 3, 7, 7)


def test_coordinates_that_are_not_finite_do_not_read_outside():
    nan, inf = torch.nan, torch.inf
    boxes = torch.tensor([[nan] * 4, [inf] * 4, [-inf, -inf, inf, inf], [0, nan, 4, 4], [1e38, 1e38, -1e38, -1e38]])
    level = pyramid_level(boxes, lowest=2, highest=3)
    assert ((level >= 0) & (level <= 1)).all()
    maps = [a_map(4, 5), a_map(2, 3)]
    image = torch.ones(5, dtype=torch.long)
    pooled = pyramid_roi_align(maps, boxes, image, level, output_size=2, scales=[1 / 4, 1 / 8])
    assert pooled.isfinite().all()


@given(
    st.lists(
        st.tuples(*[st.floats(-20, 130, width=32)] * 2, *[st.floats(0, 90, width=32)] * 2, st.integers(0, 1)),
        max_size=5,
    )
)
@settings(max_examples=40)
def test_roi_pool_is_torchvisions(values):
    """SYS-017."""
    table = torch.tensor(values, dtype=torch.float32).reshape(-1, 5)
    boxes, image = torch.cat([table[:, :2], table[:, :2] + table[:, 2:4]], dim=1), table[:, 4].long()
    got = roi_pool(a_map(), boxes, image, output_size=3, scale=1 / 8)
    torch.testing.assert_close(got, torchvision.ops.roi_pool(a_map(), rois(boxes, image), 3, 1 / 8), rtol=0, atol=0)


def test_roi_pool_takes_the_maximum_of_the_cells_it_covers():
    features = torch.arange(16.0).view(1, 1, 4, 4)
    box = torch.tensor([[0.0, 0, 24, 24]])  # cells 0 to 3 on both axes
    pooled = roi_pool(features, box, torch.tensor([0]), output_size=2, scale=1 / 8)
    assert pooled.flatten().tolist() == [5, 7, 13, 15]
