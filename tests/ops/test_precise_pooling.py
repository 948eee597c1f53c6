"""Precise RoI pooling against numerical integration and RoIAlign's limit (SYS-019, ERR-121)."""

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.ops import prroi_pool, pyramid_prroi_pool


def a_map(height=9, width=13, channels=3, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, height, width, generator=generator, dtype=torch.float64)


def surface(plane, y, x):
    """Jiang et al. 2018, eq. 3-4: Σ IC(x, y, i, j) w_ij, at the points of a grid: [channels, y, x]."""
    rows = (1 - (y[:, None] - torch.arange(plane.shape[1])).abs()).clamp(min=0)
    columns = (1 - (x[:, None] - torch.arange(plane.shape[2])).abs()).clamp(min=0)
    return torch.einsum("yi,cij,xj->cyx", rows, plane, columns)


def integrated(plane, box, bins, samples=200):
    """Mean of the surface over each bin by the midpoint rule."""
    step = (torch.arange(bins * samples, dtype=torch.float64) + 0.5) / (bins * samples)
    y = box[1] + step * (box[3] - box[1])
    x = box[0] + step * (box[2] - box[0])
    fine = surface(plane, y, x)
    return fine.view(-1, bins, samples, bins, samples).mean(dim=(2, 4))


@given(
    st.lists(
        st.tuples(*[st.floats(-5, 14)] * 2, *[st.floats(0.01, 20)] * 2, st.integers(0, 1)), min_size=1, max_size=4
    ),
    st.sampled_from([1, 2, 3]),
)
@settings(max_examples=25, deadline=None)
def test_is_the_integral(values, bins):
    table = torch.tensor(values, dtype=torch.float64)
    boxes, image = torch.cat([table[:, :2], table[:, :2] + table[:, 2:4]], dim=1), table[:, 4].long()
    got = prroi_pool(a_map(), boxes * 8, image, output_size=bins, scale=1 / 8)
    expected = torch.stack([integrated(a_map()[i], box, bins) for box, i in zip(boxes, image, strict=True)])
    torch.testing.assert_close(got, expected, rtol=0, atol=5e-4)


def test_is_the_limit_of_dense_sampling(random_boxes):
    """ERR-121: RoIAlign comes the nearer the more points it samples; it has no four virtual points."""
    boxes = random_boxes(20, (60, 60)).double() + 4
    boxes[:, 2:] += 8  # RoIAlign makes boxes under one cell larger
    image = torch.arange(20) % 2
    features = a_map(12, 16)
    exact = prroi_pool(features, boxes, image, output_size=3, scale=1 / 8)
    rois = torch.cat([image[:, None].double(), boxes], dim=1)
    errors = [
        float((torchvision.ops.roi_align(features, rois, 3, 1 / 8, samples) - exact).abs().max())
        for samples in (1, 2, 8, 64)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.1
    assert errors[-1] < 1e-3


def test_by_hand():
    """One hat of height 1 at cell 1: its integral over 0…2 is 1, over 0…1 half."""
    features = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    features[0, 0, 1, 1] = 1
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1], [1, 1, 2, 2], [0, 0, 1, 2], [-9, -9, 11, 11]])
    pooled = prroi_pool(features, boxes, torch.zeros(5, dtype=torch.long), output_size=1, scale=1.0)
    assert pooled.flatten().tolist() == pytest.approx([1 / 4, 1 / 4, 1 / 4, 1 / 4, 1 / 400])


def test_gradient_in_features_and_boxes(random_boxes):
    features = a_map(5, 6, 2).requires_grad_()
    boxes = random_boxes(4, (40, 48)).double()
    boxes[0] = torch.tensor([-9.3, 2.2, 70.1, 33.3])  # over the edges
    image = torch.tensor([0, 1, 1, 0])
    assert torch.autograd.gradcheck(
        lambda maps, where: prroi_pool(maps, where, image, output_size=3, scale=1 / 8),
        (features, boxes.requires_grad_()),
    )


def test_gradient_where_edges_lie_on_cells():
    """Jiang et al. 2018, eq. 6: the derivative by x2 is the mean over that edge minus the mean over the bin."""
    features = a_map(6, 7, 2)
    box = torch.tensor([[1.0, 1, 4, 3]], dtype=torch.float64, requires_grad=True)
    pooled = prroi_pool(features, box, torch.tensor([1]), output_size=1, scale=1.0)
    pooled[0, 0].sum().backward()
    y = 1 + (torch.arange(2000, dtype=torch.float64) + 0.5) / 1000
    for corner, x, sign in ((0, 1.0, -1), (2, 4.0, 1)):
        edge = surface(features[1], y, torch.tensor([x], dtype=torch.float64))[0].mean()
        expected = sign * (edge - pooled[0, 0, 0, 0]) / 3
        torch.testing.assert_close(box.grad[0, corner], expected.detach(), rtol=1e-5, atol=1e-6)


def test_a_box_finds_a_bump_by_gradient():
    """What RoIAlign cannot do: move a box to where the map is high."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    features = torch.exp(-((x - 20) ** 2 + (y - 12) ** 2) / 60)[None, None]
    center = torch.tensor([14.0, 16.0], requires_grad=True)
    for _ in range(200):
        box = torch.cat([center - 3, center + 3])[None]
        (gradient,) = torch.autograd.grad(
            prroi_pool(features, box, torch.tensor([0]), output_size=1, scale=1.0).sum(), center
        )
        center = (center + 4 * gradient).detach().requires_grad_()
    torch.testing.assert_close(center.detach(), torch.tensor([20.0, 12.0]), rtol=0, atol=0.05)


def test_a_pyramid_is_each_map_alone(random_boxes):
    maps = [a_map(16, 24), a_map(8, 12, seed=1), a_map(4, 6, seed=2)]
    boxes, image, level = random_boxes(30, (64, 96)).double(), torch.arange(30) % 2, torch.arange(30) % 3
    scales = [1 / 4, 1 / 8, 1 / 16]
    got = pyramid_prroi_pool(maps, boxes, image, level, output_size=4, scales=scales)
    for row in range(3):
        part = level == row
        alone = prroi_pool(maps[row], boxes[part], image[part], output_size=4, scale=scales[row])
        torch.testing.assert_close(got[part], alone, rtol=1e-12, atol=1e-12)


def test_each_box_alone_is_the_same(random_boxes):
    """Boxes of very different sizes are pooled in other parts than a box alone."""
    boxes, image = random_boxes(20, (72, 104)).double(), torch.arange(20) % 2
    together = prroi_pool(a_map(), boxes, image, output_size=3, scale=1 / 8)
    alone = [prroi_pool(a_map(), boxes[[i]], image[[i]], output_size=3, scale=1 / 8) for i in range(20)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_other_dtypes_forward_and_backward(random_boxes, dtype):
    boxes, image = random_boxes(20, (72, 104)).requires_grad_(), torch.arange(20) % 2
    exact = prroi_pool(a_map(), boxes.detach().double(), image, output_size=7, scale=1 / 8)
    features = a_map().to(dtype).requires_grad_()
    got = prroi_pool(features, boxes, image, output_size=7, scale=1 / 8)
    assert got.dtype == dtype
    precision = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 5e-3}[dtype]
    torch.testing.assert_close(got.double(), exact, rtol=precision, atol=precision)
    got.float().square().sum().backward()
    assert features.grad.isfinite().all()
    assert boxes.grad.isfinite().all()


def test_boxes_without_area():
    boxes = torch.tensor([[8.0, 8, 8, 40], [8, 8, 8, 8], [40, 8, 8, 40], [8, 8, 40, 8]], requires_grad=True)
    pooled = prroi_pool(a_map(), boxes, torch.zeros(4, dtype=torch.long), output_size=2, scale=1 / 8)
    assert (pooled == 0).all()
    pooled.sum().backward()
    assert (boxes.grad == 0).all()


def test_empty_and_not_finite():
    features = a_map().requires_grad_()
    pooled = prroi_pool(features, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), output_size=7, scale=1 / 8)
    assert pooled.shape == (0, 3, 7, 7)
    pooled.sum().backward()
    assert (features.grad == 0).all()
    nan, inf = torch.nan, torch.inf
    boxes = torch.tensor([[nan] * 4, [inf] * 4, [-inf, -inf, inf, inf], [0, nan, 4, 4], [1e38, 1e38, -1e38, -1e38]])
    boxes.requires_grad_()
    pooled = prroi_pool(a_map(), boxes, torch.ones(5, dtype=torch.long), output_size=2, scale=1 / 8)
    assert pooled.isfinite().all()
    pooled.sum().backward()
    assert boxes.grad.isfinite().all()
