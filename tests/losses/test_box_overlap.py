"""Losses of overlap against torchvision's, in values and in gradients."""

import math

import pytest
import torch
import torchvision

from snellen.losses import ciou_loss, diou_loss, giou_loss, iou_loss

THEIRS = {
    giou_loss: torchvision.ops.generalized_box_iou_loss,
    diou_loss: torchvision.ops.distance_box_iou_loss,
    ciou_loss: torchvision.ops.complete_box_iou_loss,
}


def some_boxes(seed, count=80):
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 60
    return torch.cat([low, low + 1 + 60 * torch.rand(count, 2, generator=generator, dtype=torch.float64)], dim=1)


@pytest.mark.parametrize("loss", list(THEIRS))
def test_is_torchvisions(loss):
    ours, theirs, targets = some_boxes(0).requires_grad_(), some_boxes(0).requires_grad_(), some_boxes(1)
    got, expected = loss(ours, targets), THEIRS[loss](theirs, targets)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
    got.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def test_iou_loss_by_hand():
    box, half = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 5]])
    assert iou_loss(box, half).item() == 0.5
    assert iou_loss(box, half, logarithmic=True).item() == pytest.approx(math.log(2))
    apart = iou_loss(box, half + 100, logarithmic=True)
    assert apart.item() == pytest.approx(-math.log(1e-6))


def test_gradient_of_the_logarithm():
    """UnitBox: the derivative of −ln IoU is that of IoU over IoU."""
    first, second, targets = some_boxes(2).requires_grad_(), some_boxes(2).requires_grad_(), some_boxes(3)
    plain = iou_loss(first, targets)
    plain.sum().backward()
    iou_loss(second, targets, logarithmic=True).sum().backward()
    overlap = 1 - plain.detach()
    touching = overlap > 0
    assert 0 < touching.sum() < 80
    torch.testing.assert_close(second.grad[touching], first.grad[touching] / overlap[touching, None])
    assert (second.grad[~touching] == 0).all()


@pytest.mark.parametrize("loss", [iou_loss, *THEIRS])
def test_empty_and_perfect(loss):
    assert loss(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)
    boxes = some_boxes(4)
    torch.testing.assert_close(loss(boxes, boxes), torch.zeros(80, dtype=torch.float64))
