"""Box algebra against torchvision, and its laws."""

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from snellen.ops import (
    box_area,
    box_centers_sizes,
    box_iou,
    boxes_from_centers_sizes,
    clip_boxes,
    covered_share,
    is_larger_than,
    scale_boxes,
)

rows = st.lists(
    st.tuples(
        st.floats(-60, 120, width=32),
        st.floats(-60, 120, width=32),
        st.one_of(st.floats(0.125, 300, width=32), st.floats(0.0009765625, 0.125, width=32)),
        st.one_of(st.floats(0.125, 300, width=32), st.floats(0.0009765625, 0.125, width=32)),
    ),
    max_size=6,
)


def as_boxes(values):
    x, y, width, height = torch.tensor(values, dtype=torch.float32).reshape(-1, 4).unbind(1)
    return torch.stack([x, y, x + width, y + height], dim=1)


@given(rows.map(as_boxes), rows.map(as_boxes))
def test_box_iou_is_torchvisions(first, second):
    iou = box_iou(first, second)
    assert iou.shape == (len(first), len(second))
    expected = torchvision.ops.box_iou(first, second)
    # A sliver whose thickness is lost in the rounding of its coordinates has no area: 0 here, NaN there.
    torch.testing.assert_close(iou, expected.nan_to_num(), rtol=1e-5, atol=1e-6)
    assert ((iou >= 0) & (iou <= 1 + 1e-5)).all()
    torch.testing.assert_close(iou, box_iou(second, first).T)


@given(rows.map(as_boxes))
def test_a_box_overlaps_itself_wholly(boxes):
    solid = box_area(boxes) > 0
    assert torch.allclose(box_iou(boxes, boxes).diagonal()[solid], torch.ones(int(solid.sum())), atol=1e-5)


@pytest.mark.parametrize("offset", [1e4, 1e6])
def test_iou_does_not_depend_on_where_the_boxes_are(offset):
    boxes = torch.tensor([[0.0, 0, 16, 8], [4, 2, 20, 12], [16, 0, 32, 8]])
    torch.testing.assert_close(box_iou(boxes + offset, boxes + offset), box_iou(boxes, boxes))


def test_touching_and_degenerate_boxes_do_not_overlap():
    """SYS-164."""
    boxes = torch.tensor([[0.0, 0, 4, 4], [4, 0, 8, 4], [0, 4, 4, 8], [2, 2, 2, 2], [2, 2, 2, 2], [0, 0, 0, 0]])
    iou = box_iou(boxes, boxes)
    assert torch.equal(iou, torch.diag(torch.tensor([1.0, 1, 1, 0, 0, 0])))


def test_iou_of_one_set_of_anchors_with_a_batch(random_boxes):
    objects, anchors = random_boxes(3, leading=(2,)), random_boxes(7, seed=1)
    iou = box_iou(objects, anchors)
    assert iou.shape == (2, 3, 7)
    for row in range(2):
        torch.testing.assert_close(iou[row], torchvision.ops.box_iou(objects[row], anchors))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dtype_is_kept(random_boxes, dtype):
    boxes = random_boxes(4).to(dtype)
    sizes = torch.tensor([32, 48])
    results = [
        box_area(boxes),
        box_iou(boxes, boxes),
        covered_share(boxes, boxes),
        clip_boxes(boxes, sizes),
        scale_boxes(boxes, sizes, sizes * 2),
        boxes_from_centers_sizes(*box_centers_sizes(boxes)),
    ]
    assert {result.dtype for result in results} == {dtype}
    assert all(result.isfinite().all() for result in results)


@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_empty_in_empty_out(leading):
    none, some = torch.zeros(*leading, 0, 4), torch.ones(*leading, 5, 4)
    sizes = torch.full((*leading, 2), 9)
    assert box_area(none).shape == (*leading, 0)
    assert box_iou(none, some).shape == covered_share(none, some).shape == (*leading, 0, 5)
    assert box_iou(some, none).shape == covered_share(some, none).shape == (*leading, 5, 0)
    assert clip_boxes(none, sizes).shape == scale_boxes(none, sizes, sizes).shape == (*leading, 0, 4)
    assert is_larger_than(none, 1.0).shape == (*leading, 0)


@given(rows.map(as_boxes), st.integers(1, 200), st.integers(1, 200))
def test_clip_and_small_box_filter_are_torchvisions(boxes, height, width):
    before = boxes.clone()
    clipped = clip_boxes(boxes, torch.tensor([height, width]))
    torch.testing.assert_close(clipped, torchvision.ops.clip_boxes_to_image(boxes, (height, width)), rtol=0, atol=0)
    kept = is_larger_than(clipped, 0.5).nonzero()[:, 0]
    assert torch.equal(kept, torchvision.ops.remove_small_boxes(clipped, 0.5))
    assert torch.equal(boxes, before)


def test_each_image_is_clipped_at_its_own_edges():
    boxes = torch.tensor([-5.0, -5, 500, 500]).expand(2, 3, 4)
    clipped = clip_boxes(boxes, torch.tensor([[10, 20], [30, 40]]))
    assert torch.equal(clipped[0], torch.tensor([0.0, 0, 20, 10]).expand(3, 4))
    assert torch.equal(clipped[1], torch.tensor([0.0, 0, 40, 30]).expand(3, 4))


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 9000), st.integers(1, 9000))
def test_the_whole_image_scales_to_the_whole_image(height, width, new_height, new_width):
    whole = torch.tensor([[0.0, 0, width, height]])
    scaled = scale_boxes(whole, torch.tensor([height, width]), torch.tensor([new_height, new_width]))
    torch.testing.assert_close(scaled, torch.tensor([[0.0, 0, new_width, new_height]]), rtol=1e-6, atol=0)


def test_covered_share_is_the_overlap_of_pycocotools_with_a_crowd(random_boxes):
    mask = pytest.importorskip("pycocotools.mask")
    boxes, regions = random_boxes(6).double(), random_boxes(4, seed=1).double()
    as_xywh = [torch.cat([b[:, :2], b[:, 2:] - b[:, :2]], dim=1).numpy() for b in (boxes, regions)]
    expected = torch.from_numpy(mask.iou(as_xywh[0], as_xywh[1], [1] * 4))
    torch.testing.assert_close(covered_share(boxes, regions), expected)


@given(rows.map(as_boxes))
def test_centres_and_sides_give_the_box_back(boxes):
    torch.testing.assert_close(boxes_from_centers_sizes(*box_centers_sizes(boxes)), boxes, rtol=1e-5, atol=1e-4)


def test_iou_has_the_gradient_of_its_formula(random_boxes):
    boxes = random_boxes(3).double().requires_grad_()
    others = random_boxes(2, seed=5).double().requires_grad_()
    assert torch.autograd.gradcheck(box_iou, (boxes, others))
