"""Suppression: both branches against torchvision, group by group (SYS-040)."""

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from snellen.ops import kept_by_nms
from snellen.ops import nms as module

NUM_GROUPS = 3


def on_accelerator(boxes, scores, groups, *, iou_above, num_groups):
    """What an accelerator computes, on the CPU."""
    alive = (scores > -torch.inf) & boxes.isfinite().all(dim=1)
    return module._kept_in_rounds(boxes, scores, groups, alive, iou_above=iou_above, num_groups=num_groups)


def reference(boxes, scores, groups, iou_above):
    keep = torch.zeros(len(boxes), dtype=torch.bool)
    for group in groups.unique():
        rows = ((groups == group) & (scores > -torch.inf) & boxes.isfinite().all(dim=1)).nonzero()[:, 0]
        keep[rows[torchvision.ops.nms(boxes[rows], scores[rows], iou_above)]] = True
    return keep


# Whole coordinates make every sum exact, so that shifting groups apart must change nothing at all. Sides from
# 0 and few places give twins, touching and degenerate boxes. A score of -inf or NaN is a dead box.
whole_rows = st.lists(
    st.tuples(
        st.integers(-4, 12),
        st.integers(-4, 12),
        st.integers(0, 9),
        st.integers(0, 9),
        st.integers(0, NUM_GROUPS - 1),
        st.booleans(),
    ),
    min_size=1,
    max_size=14,
)


@given(whole_rows, st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.randoms(use_true_random=False))
def test_both_branches_are_torchvisions(rows, iou_above, random):
    x, y, width, height, groups, dead = torch.tensor(rows).unbind(1)
    boxes = torch.stack([x, y, x + width, y + height], dim=1).float()
    ranks = list(range(len(rows)))
    random.shuffle(ranks)  # all scores differ: among equal ones the order is nobody's promise
    scores = torch.tensor(ranks, dtype=torch.float32).masked_fill(dead.bool(), -torch.inf)
    expected = reference(boxes, scores, groups, iou_above)
    settings = {"iou_above": iou_above, "num_groups": NUM_GROUPS}
    assert torch.equal(kept_by_nms(boxes, scores, groups, **settings), expected)
    assert torch.equal(on_accelerator(boxes, scores, groups, **settings), expected)


def test_long_chains_large_groups_and_little_room(monkeypatch):
    # Each overlaps its neighbours alone: every second one survives, which takes as many rounds as there are boxes.
    left = torch.arange(60.0) * 4
    chain = torch.stack([left, torch.zeros(60), left + 10, torch.full((60,), 10.0)], dim=1)
    boxes = torch.cat([chain, chain[:7], chain])
    scores = torch.cat([torch.arange(60.0, 0, -1), torch.arange(7.0, 0, -1), torch.arange(60.0)])
    groups = torch.cat([torch.zeros(60), torch.ones(7), torch.full((60,), 2)]).long()
    settings = {"iou_above": 0.4, "num_groups": 4}
    expected = reference(boxes, scores, groups, 0.4)
    assert expected[:60].tolist() == [True, False] * 30
    for name, value in {"MOST_COMPARED": 1, "MOST_HELD": 4096, "MOST_IN_A_TABLE": 8}.items():
        assert torch.equal(on_accelerator(boxes, scores, groups, **settings), expected)
        monkeypatch.setattr(module, name, value)
    assert torch.equal(on_accelerator(boxes, scores, groups, **settings), expected)


@pytest.mark.parametrize("kept_of", [kept_by_nms, on_accelerator])
def test_many_groups_of_large_images(kept_of, random_boxes):
    num_groups, count = 640, 4000
    boxes = random_boxes(count, (800, 1333))
    generator = torch.Generator().manual_seed(1)
    groups = torch.randint(0, num_groups, (count,), generator=generator)
    scores = torch.rand(count, generator=generator)
    got = kept_of(boxes, scores, groups, iou_above=0.5, num_groups=num_groups)
    expected = torch.zeros(count, dtype=torch.bool)
    expected[torchvision.ops.batched_nms(boxes.double(), scores.double(), groups, 0.5)] = True
    assert torch.equal(got, expected)
    assert not got.all()


@pytest.mark.parametrize("kept_of", [kept_by_nms, on_accelerator])
def test_dead_boxes_are_dropped_and_suppress_nothing(kept_of):
    box = [0.0, 0, 10, 10]
    nan, inf = torch.nan, torch.inf
    boxes = torch.tensor([box, box, box, [nan, 0, 10, 10], [0, 0, inf, 10], [-inf, -inf, inf, inf], [0, 0, 9, 9]])
    scores = torch.tensor([-inf, nan, 0.5, 0.9, 0.8, 0.7, 0.1])
    groups = torch.zeros(7, dtype=torch.long)
    kept = kept_of(boxes, scores, groups, iou_above=0.5, num_groups=2)
    assert kept.tolist() == [False, False, True, False, False, False, False]


@pytest.mark.parametrize("kept_of", [kept_by_nms, on_accelerator])
def test_all_dead(kept_of):
    boxes, scores = torch.rand(5, 4), torch.full((5,), -torch.inf)
    assert not kept_of(boxes, scores, torch.zeros(5, dtype=torch.long), iou_above=0.5, num_groups=1).any()


def test_empty_in_empty_out():
    kept = kept_by_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), iou_above=0.5, num_groups=4)
    assert kept.shape == (0,)
    assert kept.dtype == torch.bool


def test_survivors_survive_a_second_time(random_boxes):
    boxes, scores = random_boxes(200), torch.rand(200, generator=torch.Generator().manual_seed(0))
    groups = torch.arange(200) % NUM_GROUPS
    settings = {"iou_above": 0.4, "num_groups": NUM_GROUPS}
    kept = kept_by_nms(boxes, scores, groups, **settings)
    assert 0 < kept.sum() < 200
    assert kept_by_nms(boxes[kept], scores[kept], groups[kept], **settings).all()
