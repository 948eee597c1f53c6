"""From scored boxes to detections."""

import math

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from snellen.models.detection import SelectionSettings, best_detections, select


def settings(**changes):
    return SelectionSettings(**{"score_above": 0.2, "nms_iou": 0.5, "max_detections": 10, **changes})


def selected(boxes, scores, from_sizes, to_sizes, **changes):
    return best_detections(boxes, scores, torch.tensor(from_sizes), torch.tensor(to_sizes), settings(**changes))


def scene(num_images=3, num_boxes=40, num_classes=4, shared=False):
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(num_images, num_boxes, 1 if shared else num_classes, 2, generator=generator) * 60
    boxes = torch.cat([low, low + torch.rand(low.shape, generator=generator) * 40], dim=-1)
    return boxes, torch.rand(num_images, num_boxes, num_classes, generator=generator)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 9000), st.integers(1, 9000))
def test_no_detection_leaves_the_original_image_by_a_rounding(height, width, new_height, new_width):
    boxes = torch.tensor([0.0, 0, width, height]).view(1, 1, 1, 4)
    (found,) = selected(boxes, torch.ones(1, 1, 1), [[height, width]], [[new_height, new_width]])
    limits = torch.tensor([[0.0, 0, new_width, new_height]])
    assert (found.boxes <= limits).all()
    torch.testing.assert_close(found.boxes, limits, rtol=1e-6, atol=0)


def test_each_image_is_selected_as_torchvision_would():
    boxes, scores = scene()
    scores[1] = 0.1  # nothing is found in the second image
    found = selected(boxes, scores, [[100, 100]] * 3, [[100, 100], [50, 50], [200, 300]])
    for row, factor in ((0, torch.ones(4)), (2, torch.tensor([3.0, 2, 3, 2]))):
        box, score = boxes[row].flatten(0, 1), scores[row].flatten()
        label = torch.arange(4).repeat(40)
        sure = score > 0.2
        box, score, label = box[sure], score[sure], label[sure]
        keep = torchvision.ops.batched_nms(box, score, label, 0.5)[:10]
        torch.testing.assert_close(found[row].boxes, box[keep] * factor)
        assert torch.equal(found[row].scores, score[keep])
        assert torch.equal(found[row].labels, label[keep])
    assert found[1].boxes.shape == (0, 4)
    assert found[1].scores.shape == found[1].labels.shape == (0,)
    assert found[1].labels.dtype == torch.int64


def test_no_regions_no_detections():
    (found,) = selected(torch.zeros(1, 0, 2, 4), torch.zeros(1, 0, 2), [[9, 9]], [[9, 9]])
    assert found.boxes.shape == (0, 4)


def test_one_box_for_all_classes_is_the_same_box_for_each():
    boxes, scores = scene(shared=True)
    sizes = [[100, 100]] * 3
    found = selected(boxes, scores, sizes, sizes)
    wanted = selected(boxes.expand(-1, -1, 4, -1), scores, sizes, sizes)
    for left, right in zip(found, wanted, strict=True):
        assert torch.equal(left.boxes, right.boxes)
        assert torch.equal(left.labels, right.labels)


def test_only_the_best_pairs_of_each_image_go_into_suppression():
    boxes, scores = scene()
    scores[2] *= 0.01
    chosen = select(boxes, scores, settings(before_nms=7, nms_iou=1.0, max_detections=100))
    assert chosen.counts == [7, 7, 0]
    assert torch.equal(chosen.scores[:7], scores[0].flatten().topk(7).values)


def test_classes_suppress_one_another_on_request():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10]]).view(1, 2, 1, 4)
    scores = torch.tensor([[[0.9, 0.0], [0.0, 0.8]]])
    assert select(boxes, scores, settings()).labels.tolist() == [0, 1]
    assert select(boxes, scores, settings(class_agnostic=True)).labels.tolist() == [0]


def test_soft_suppression_keeps_what_the_hard_one_drops():
    """SYS-041: a crowd of two whose boxes overlap by more than the limit."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [3, 0, 13, 10]]).view(1, 2, 1, 4)
    scores = torch.tensor([[[0.9], [0.8]]])
    iou = 7 / 13
    assert select(boxes, scores, settings()).scores.tolist() == [pytest.approx(0.9)]
    linear = select(boxes, scores, settings(suppression="soft_linear"))
    assert linear.scores.tolist() == [pytest.approx(0.9), pytest.approx(0.8 * (1 - iou))]
    gaussian = select(boxes, scores, settings(suppression="soft_gaussian", soft_sigma=0.5))
    assert gaussian.scores.tolist() == [pytest.approx(0.9), pytest.approx(0.8 * math.exp(-(iou**2) / 0.5))]


def test_voting_moves_a_detection_to_the_mean_of_its_supporters():
    boxes = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]]).view(1, 3, 1, 4)
    scores = torch.tensor([[[0.9], [0.3], [0.5]]])
    found = select(boxes, scores, settings(voting_iou=0.5))
    torch.testing.assert_close(found.boxes[0], (0.9 * boxes[0, 0, 0] + 0.3 * boxes[0, 1, 0]) / 1.2)
    assert torch.equal(found.boxes[1], boxes[0, 2, 0])


def test_at_most_so_many_of_each_image():
    boxes, scores = scene()
    chosen = select(boxes, scores, settings(max_detections=3, nms_iou=1.0))
    assert chosen.counts == [3, 3, 3]
    assert chosen.image.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for image in range(3):
        best = scores[image].flatten().topk(3)
        assert torch.equal(chosen.scores[chosen.image == image], best.values)
        assert torch.equal(chosen.boxes[chosen.image == image], boxes[image].flatten(0, 1)[best.indices])
