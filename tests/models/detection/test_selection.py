"""From scored boxes to detections."""

import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from snellen.models.detection import best_detections


def selected(boxes, scores, from_sizes, to_sizes, **changes):
    settings = {"score_above": 0.2, "nms_iou": 0.5, "max_detections": 10, **changes}
    return best_detections(boxes, scores, torch.tensor(from_sizes), torch.tensor(to_sizes), **settings)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 9000), st.integers(1, 9000))
def test_no_detection_leaves_the_original_image_by_a_rounding(height, width, new_height, new_width):
    boxes = torch.tensor([0.0, 0, width, height]).view(1, 1, 1, 4)
    (found,) = selected(boxes, torch.ones(1, 1, 1), [[height, width]], [[new_height, new_width]])
    limits = torch.tensor([[0.0, 0, new_width, new_height]])
    assert (found.boxes <= limits).all()
    torch.testing.assert_close(found.boxes, limits, rtol=1e-6, atol=0)


def test_each_image_is_selected_as_torchvision_would():
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(3, 40, 4, 2, generator=generator) * 60
    boxes = torch.cat([low, low + torch.rand(3, 40, 4, 2, generator=generator) * 40], dim=-1)
    scores = torch.rand(3, 40, 4, generator=generator)
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
