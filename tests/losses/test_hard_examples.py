"""Mining of hard examples against plain loops and torchvision's SSD."""

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.losses import hard_negatives, hard_pixels, hardest


def some_boxes(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(*shape, 2, generator=generator) * 40
    return torch.cat([low, low + 20 + 10 * torch.rand(*shape, 2, generator=generator)], dim=-1)


@pytest.mark.parametrize("with_boxes", [False, True])
@pytest.mark.parametrize("keep", [1, 5, 1000])
def test_hardest_is_a_plain_loop(with_boxes, keep):
    """SYS-043, ERR-122: by loss, after suppression by loss, image by image."""
    losses = torch.rand(3, 60, generator=torch.Generator().manual_seed(1))
    losses[0, ::4] = -torch.inf
    boxes = some_boxes(3, 60)
    groups = torch.arange(3)[:, None].expand(3, 60)
    got = hardest(losses, boxes if with_boxes else None, groups, keep=keep)
    for image in range(3):
        there = (losses[image] > -torch.inf).nonzero()[:, 0]
        order = there[losses[image, there].argsort(descending=True)]
        if with_boxes:
            order = order[torchvision.ops.nms(boxes[image, order], losses[image, order], 0.7)]
        assert set(got[image].nonzero()[:, 0].tolist()) == set(order[:keep].tolist())
    if with_boxes and keep == 1000:
        assert got.sum() < (losses > -torch.inf).sum()


def test_groups_need_not_be_rows():
    losses = torch.rand(90, generator=torch.Generator().manual_seed(2))
    groups = torch.arange(90) % 4 * 2
    got = hardest(losses, None, groups, keep=3)
    for group in (0, 2, 4, 6):
        rows = (groups == group).nonzero()[:, 0]
        assert set(got.nonzero()[:, 0].tolist()) & set(rows.tolist()) == set(
            rows[losses[rows].topk(3).indices].tolist()
        )


def test_duplicates_of_one_hard_region_take_one_slot():
    box = [10.0, 10, 30, 30]
    boxes = torch.tensor([[box, box, box, [50, 50, 70, 70], [80, 80, 90, 90]]])
    losses = torch.tensor([[5.0, 4.9, 4.8, 1.0, 0.5]])
    groups = torch.zeros(1, 5, dtype=torch.long)
    assert hardest(losses, boxes, groups, keep=2).tolist() == [[True, False, False, True, False]]
    assert hardest(losses, None, groups, keep=2).tolist() == [[True, True, False, False, False]]


def test_positives_are_examples_too():
    """ERR-113: online hard example mining is not about negatives; it never asks which is which."""
    losses = torch.tensor([[0.1, 3.0, 2.0]])
    assert hardest(losses, None, torch.zeros(1, 3, dtype=torch.long), keep=2).tolist() == [[False, True, True]]


def test_a_loss_that_is_not_a_number_is_the_hardest():
    losses = torch.tensor([[1.0, torch.nan, -torch.inf, 2.0]])
    groups = torch.zeros(1, 4, dtype=torch.long)
    boxes = torch.tensor([[[0.0, 0, 1, 1], [5, 5, 6, 6], [8, 8, 9, 9], [20, 20, 21, 21]]])
    for where in (None, boxes):
        assert hardest(losses, where, groups, keep=2).tolist() == [[False, True, False, True]]
        assert hardest(losses, where, groups, keep=9).tolist() == [[True, True, False, True]]


def torchvisions(losses, foreground, ratio):
    """The rule of torchvision.models.detection.ssd.SSD.compute_loss, line by line."""
    num_negative = ratio * foreground.sum(1, keepdim=True)
    negative_loss = losses.clone()
    negative_loss[foreground] = -float("inf")
    _, index = negative_loss.sort(1, descending=True)
    return index.sort(1)[1] < num_negative


@given(st.integers(0, 50), st.integers(1, 4), st.integers(0, 20))
@settings(deadline=None)
def test_hard_negatives_are_torchvisions(seed, ratio, most_positives):
    generator = torch.Generator().manual_seed(seed)
    losses = torch.rand(4, 64, generator=generator)
    positive = torch.rand(4, 64, generator=generator) < most_positives / 100
    got = hard_negatives(losses, positive, ~positive, ratio=ratio)
    # Where there are too few negatives, torchvision counts positives among them; a positive never is one here.
    assert torch.equal(got, torchvisions(losses, positive, ratio) & ~positive)


def test_hard_negatives_by_hand():
    losses = torch.tensor([[9.0, 1, 5, 4, 3, 2], [1, 2, 3, 4, 5, 6]])
    positive = torch.tensor([[True, False, False, False, False, False], [False] * 6])
    negative = torch.tensor([[False, True, False, True, True, True], [True] * 6])
    got = hard_negatives(losses, positive, negative, ratio=2)
    assert got.tolist() == [[False, False, False, True, True, False], [False] * 6]
    few = hard_negatives(losses, positive, negative & (losses == 4), ratio=3)
    assert few.sum() == 1


def test_losses_get_no_gradient_from_being_chosen():
    losses = torch.rand(2, 5, requires_grad=True)
    positive = torch.eye(2, 5).bool()
    assert not hard_negatives(losses, positive, ~positive).requires_grad
    assert not hardest(losses, None, torch.zeros(2, 5, dtype=torch.long), keep=1).requires_grad


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_empty_in_empty_out(shape):
    losses, none = torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
    assert hard_negatives(losses, none, none).shape == shape
    assert hardest(losses, torch.zeros(*shape, 4), none.long(), keep=3).shape == shape
    assert hardest(losses, None, none.long(), keep=3).shape == shape


def test_hard_pixels_are_those_that_are_not_sure_yet():
    """Q-014, SYS-043: probabilities of 0.9, 0.8, 0.6 and 0.1 for the right class; below 0.7 is hard."""
    losses = -torch.tensor([[[0.9, 0.8, 0.6, 0.1]]]).log()
    valid = torch.ones(1, 1, 4, dtype=torch.bool)
    assert hard_pixels(losses, valid, below=0.7, least_share=0.25).tolist() == [[[False, False, True, True]]]


@given(seed=st.integers(0, 1000), below=st.floats(0.0, 1.0), share=st.floats(0.01, 1.0))
@settings(max_examples=30, deadline=None)
def test_hard_pixels_against_a_plain_sort(seed, below, share):
    generator = torch.Generator().manual_seed(seed)
    losses = torch.rand(2, 5, 7, generator=generator) * 3
    valid = torch.rand(2, 5, 7, generator=generator) < 0.8
    found = hard_pixels(losses, valid, below=below, least_share=share)
    values = sorted(losses[valid].tolist(), reverse=True)
    least = max(1, round(share * losses.numel()))
    sure = sum(torch.tensor(values).neg().exp() <= below).item()
    assert found.sum().item() == min(len(values), max(least, sure))
    assert not found[~valid].any()
    assert losses[found].min() >= losses[valid & ~found].max() if (valid & ~found).any() else True


def test_hard_pixels_where_nothing_counts():
    assert not hard_pixels(torch.ones(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.bool)).any()
    assert hard_pixels(torch.full((1, 1, 2), torch.nan), torch.ones(1, 1, 2, dtype=torch.bool)).any()
