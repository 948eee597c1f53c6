"""Soft suppression against the paper's pseudo code, box by box (SYS-041)."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.errors import InputError
from snellen.ops import kept_by_nms, soft_nms


def overlap(first, second):
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0) * max(height, 0)
    union = (first[2] - first[0]) * (first[3] - first[1]) + (second[2] - second[0]) * (second[3] - second[1]) - shared
    return shared / union if union > 0 else 0.0


def reference(boxes, scores, groups, *, method, iou_above=0.3, sigma=0.5, score_floor=0.001):
    """Bodla et al. 2017, the paper's pseudo code in plain Python."""
    result = [0.0] * len(scores)
    for group in set(groups.tolist()):
        left = {
            row: score
            for row, score in enumerate(scores.tolist())
            if groups[row] == group and score >= score_floor and boxes[row].isfinite().all()
        }
        while left:
            best = max(left, key=lambda row: (left[row], -row))
            result[best] = left.pop(best)
            for row in list(left):
                iou = overlap(boxes[best].tolist(), boxes[row].tolist())
                if method == "gaussian":
                    left[row] *= math.exp(-(iou**2) / sigma)
                elif iou >= iou_above:
                    left[row] *= 1 - iou
                if left[row] < score_floor:
                    del left[row]
    return torch.tensor(result, dtype=torch.float64)


# Whole coordinates and few of them give twins, touching and degenerate boxes.
rows = st.lists(
    st.tuples(*[st.integers(-4, 12)] * 2, *[st.integers(0, 9)] * 2, st.integers(0, 2), st.integers(0, 1000)),
    max_size=16,
)


@given(rows, st.sampled_from(["linear", "gaussian"]), st.sampled_from([0.0, 0.3, 0.7]), st.sampled_from([0.1, 0.5]))
@settings(max_examples=150, deadline=None)
def test_is_the_papers_loop(values, method, iou_above, sigma):
    table = torch.tensor(values, dtype=torch.float64).reshape(-1, 6)
    boxes = torch.cat([table[:, :2], table[:, :2] + table[:, 2:4]], dim=1)
    groups, scores = table[:, 4].long(), table[:, 5] / 1000
    options = {"method": method, "iou_above": iou_above, "sigma": sigma, "score_floor": 0.05}
    got = soft_nms(boxes, scores, groups, num_groups=3, **options)
    torch.testing.assert_close(got, reference(boxes, scores, groups, **options), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_groups_of_very_unequal_size(random_boxes, method):
    """More steps than between two looks, groups that end early, groups without a box."""
    boxes, scores = random_boxes(300), torch.rand(300, generator=torch.Generator().manual_seed(1))
    groups = (torch.arange(300) % 7).where(torch.arange(300) < 40, torch.tensor(9))
    got = soft_nms(boxes, scores, groups, method=method, num_groups=12)
    expected = reference(boxes.double(), scores, groups, method=method)
    torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-6)
    assert (got == 0).any()
    assert (got > 0).sum() > 40


def test_by_hand():
    """IoU 0.5 halves the score; the Gaussian leaves exp(-0.25 / 0.5)."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]])
    scores, groups = torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3, dtype=torch.long)
    assert soft_nms(boxes, scores, groups, num_groups=1).tolist() == pytest.approx([0.9, 0.4, 0.7])
    smooth = soft_nms(boxes, scores, groups, num_groups=1, method="gaussian")
    assert smooth.tolist() == pytest.approx([0.9, 0.8 * math.exp(-0.5), 0.7])


def test_recall_in_a_crowd_outlives_hard_suppression():
    """Two people side by side: hard suppression at 0.5 loses the second, soft suppression only ranks it lower."""
    boxes = torch.tensor([[0.0, 0, 10, 20], [3, 0, 13, 20]])
    scores, groups = torch.tensor([0.9, 0.8]), torch.zeros(2, dtype=torch.long)
    assert kept_by_nms(boxes, scores, groups, iou_above=0.5, num_groups=1).tolist() == [True, False]
    soft = soft_nms(boxes, scores, groups, num_groups=1)
    assert 0.001 < soft[1] < 0.8


def test_a_floor_of_one_keeps_what_a_hard_threshold_keeps(random_boxes):
    """A Gaussian without width deletes whatever overlaps at all: hard suppression at IoU 0."""
    boxes, scores = random_boxes(200), torch.rand(200, generator=torch.Generator().manual_seed(2)) * 0.5 + 0.5
    groups = torch.arange(200) % 3
    soft = soft_nms(boxes, scores, groups, num_groups=3, method="gaussian", sigma=1e-12)
    hard = kept_by_nms(boxes, scores, groups, iou_above=0.0, num_groups=3)
    assert torch.equal(soft > 0, hard)
    assert torch.equal(soft[hard], scores[hard])


def test_dead_boxes_lower_nobody():
    box, nan, inf = [0.0, 0, 10, 10], torch.nan, torch.inf
    boxes = torch.tensor([box, box, box, box, [nan, 0, 10, 10], [-inf, -inf, inf, inf]])
    scores = torch.tensor([nan, -inf, 0.5, 0.0001, 0.9, 0.8])
    got = soft_nms(boxes, scores, torch.zeros(6, dtype=torch.long), num_groups=1)
    assert got.tolist() == [0, 0, 0.5, 0, 0, 0]


def test_empty_in_empty_out():
    none = torch.zeros(0, dtype=torch.long)
    assert soft_nms(torch.zeros(0, 4), torch.zeros(0), none, num_groups=5).shape == (0,)
    dead = soft_nms(torch.rand(3, 4), torch.zeros(3), torch.zeros(3, dtype=torch.long), num_groups=1)
    assert dead.tolist() == [0, 0, 0]


def test_leaves_its_arguments_alone(random_boxes):
    boxes, scores = random_boxes(50), torch.rand(50)
    before = boxes.clone(), scores.clone()
    soft_nms(boxes, scores, torch.zeros(50, dtype=torch.long), num_groups=1)
    assert torch.equal(boxes, before[0])
    assert torch.equal(scores, before[1])


@pytest.mark.parametrize("options", [{"method": "hard"}, {"method": "gaussian", "sigma": 0.0}])
def test_says_what_is_wrong(options):
    with pytest.raises(InputError, match="'linear' or 'gaussian'"):
        soft_nms(torch.zeros(1, 4), torch.ones(1), torch.zeros(1, dtype=torch.long), num_groups=1, **options)
