"""Box voting against a plain loop."""

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.ops import kept_by_nms, vote_boxes
from snellen.ops import voting as module


def reference(boxes, scores, kept, groups, iou_above):
    result = boxes.clone()
    for row in kept.nonzero()[:, 0].tolist():
        iou = torchvision.ops.box_iou(boxes[row][None], boxes)[0]
        near = (iou >= iou_above) & (groups == groups[row])
        weight = scores[near].clamp(min=0)
        if weight.sum() > 0:
            result[row] = (weight[:, None] * boxes[near]).sum(0) / weight.sum()
    return result


@given(st.integers(0, 60), st.sampled_from([0.3, 0.5, 0.9]), st.integers(0, 5), st.sampled_from([7, 2**20]))
@settings(deadline=None)
def test_is_a_plain_loop(count, iou_above, seed, at_once):
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 20
    boxes = torch.cat([low, low + 10 + 10 * torch.rand(count, 2, generator=generator, dtype=torch.float64)], dim=1)
    scores = torch.rand(count, generator=generator, dtype=torch.float64) - 0.2
    groups = torch.randint(0, 4, (count,), generator=generator)
    kept = torch.rand(count, generator=generator) < 0.4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PAIRS_AT_ONCE", at_once)
        got = vote_boxes(boxes, scores, kept, groups, iou_above=iou_above)
    torch.testing.assert_close(got, reference(boxes, scores, kept, groups, iou_above), rtol=1e-12, atol=1e-12)


def test_by_hand():
    boxes = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10], [40, 40, 50, 50], [2, 0, 12, 10]])
    scores, groups = torch.tensor([0.9, 0.3, 0.8, 0.9]), torch.tensor([0, 0, 0, 1])
    kept = torch.tensor([True, False, True, False])
    got = vote_boxes(boxes, scores, kept, groups)
    assert got[0].tolist() == pytest.approx([0.5, 0, 10.5, 10])
    assert torch.equal(got[1:], boxes[1:])


def test_noisy_copies_of_one_box_vote_for_its_place():
    generator = torch.Generator().manual_seed(0)
    truth = torch.tensor([20.0, 30, 120, 90])
    boxes = truth + torch.randn(400, 4, generator=generator) * 4
    scores, groups = torch.rand(400, generator=generator), torch.zeros(400, dtype=torch.long)
    kept = kept_by_nms(boxes, scores, groups, iou_above=0.4, num_groups=1)
    voted = vote_boxes(boxes, scores, kept, groups)[kept]
    assert len(voted) == 1
    assert (voted - truth).abs().max() < 0.25 * (boxes[kept] - truth).abs().max()


def test_degenerate_input():
    nan = torch.nan
    boxes = torch.tensor([[nan, 0, 10, 10], [0, 0, 10, 10], [5, 5, 5, 5], [0, 0, 10, 10]])
    scores = torch.tensor([1.0, 0.5, 0.5, nan])
    got = vote_boxes(boxes, scores, torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.long))
    torch.testing.assert_close(got, boxes, rtol=0, atol=0, equal_nan=True)
    none = torch.zeros(0, dtype=torch.long)
    assert vote_boxes(torch.zeros(0, 4), torch.zeros(0), none.bool(), none).shape == (0, 4)
    nobody = vote_boxes(boxes[1:3], -scores[1:3], torch.ones(2, dtype=torch.bool), torch.zeros(2, dtype=torch.long))
    assert torch.equal(nobody, boxes[1:3])
