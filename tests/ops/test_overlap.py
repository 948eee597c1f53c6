"""Overlap of matched pairs against torchvision, and gradients where others divide by zero."""

import math

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.ops import box_iou, ciou, diou, giou, paired_iou

ALL = [paired_iou, giou, diou, ciou]
THEIRS = {
    giou: torchvision.ops.generalized_box_iou,
    diou: torchvision.ops.distance_box_iou,
    ciou: torchvision.ops.complete_box_iou,
    paired_iou: torchvision.ops.box_iou,
}


@pytest.mark.parametrize("overlap", ALL)
def test_is_torchvisions(random_boxes, overlap):
    first, second = random_boxes(60).double(), random_boxes(60, seed=1).double()
    first[::5] = second[::5] + 1.5
    torch.testing.assert_close(overlap(first, second), THEIRS[overlap](first, second).diag(), rtol=1e-6, atol=1e-6)


# The weight in CIoU is a constant for the gradient by definition; tests/losses compares it with torchvision's.
@pytest.mark.parametrize("overlap", [paired_iou, giou, diou])
def test_gradient_in_float64(random_boxes, overlap):
    first = random_boxes(12).double().requires_grad_()
    second = random_boxes(12, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(overlap, (first, second))


# Points, lines, boxes inside out, twins, neighbours and strangers.
coordinate = st.sampled_from([0.0, 1e-20, 1e-8, 0.5, 1.0, 7.0, 1000.0, 1e4, -3.0])
pairs = st.lists(st.tuples(*[coordinate] * 8), min_size=1, max_size=6)


@pytest.mark.parametrize("overlap", ALL)
@given(values=pairs)
@settings(deadline=None)
def test_finite_everywhere(overlap, values):
    first, second = torch.tensor(values).requires_grad_(), torch.tensor(values).flip(0).requires_grad_()
    value = overlap(first[:, :4], second[:, 4:])
    value.sum().backward()
    assert value.isfinite().all()
    assert (value <= 1 + 1e-5).all()
    assert (value >= (-2 - 1e-5 if overlap is ciou else -1 - 1e-5)).all()
    assert first.grad.isfinite().all()
    assert second.grad.isfinite().all()


def test_by_hand():
    first, second = torch.tensor([0.0, 0, 2, 2]), torch.tensor([4.0, 0, 6, 2])
    assert paired_iou(first, second) == 0
    assert giou(first, second).item() == pytest.approx(-4 / 12)
    assert diou(first, second).item() == pytest.approx(-16 / 40)
    assert ciou(first, second).item() == pytest.approx(-16 / 40)
    tall = torch.tensor([0.0, 0, 1, 2])
    v = 4 / math.pi**2 * (math.atan(1) - math.atan(0.5)) ** 2
    expected = 0.5 - 0.25 / 8 - v * v / (0.5 + v)
    assert ciou(first, tall).item() == pytest.approx(expected, rel=1e-5)


def test_apart_boxes_are_pulled_together():
    """What IoU cannot do: a gradient where nothing overlaps."""
    target = torch.tensor([[50.0, 50, 60, 60]])
    for overlap in (giou, diou, ciou):
        box = torch.tensor([[0.0, 0, 10, 10]], requires_grad=True)
        overlap(box, target).sum().backward()
        assert (box.grad[:, 2:] > 0).all()
    box = torch.tensor([[0.0, 0, 10, 10]], requires_grad=True)
    paired_iou(box, target).sum().backward()
    assert (box.grad == 0).all()


@pytest.mark.parametrize("overlap", ALL)
def test_shapes(random_boxes, overlap):
    boxes = random_boxes(5, leading=(2, 3))
    torch.testing.assert_close(overlap(boxes, boxes), torch.ones(2, 3, 5))
    assert overlap(boxes, boxes[0, 0, 0]).shape == (2, 3, 5)
    assert overlap(boxes[:, :, :0], boxes[:, :, :0]).shape == (2, 3, 0)
    assert overlap(boxes.half(), boxes.half()).dtype == torch.float32
    torch.testing.assert_close(paired_iou(boxes[0, 0], boxes[1, 1]), box_iou(boxes[0, 0], boxes[1, 1]).diag())
