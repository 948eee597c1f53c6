"""Matching against torchvision's Matcher, and where it stops being like it on purpose."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection._utils import Matcher

from snellen.ops import match_by_iou


def overlaps(num_objects, num_references):
    """Overlaps on a coarse scale, so that ties and values on a threshold are the rule."""
    cell = st.sampled_from([0.0, 0.05, 0.25, 0.3, 0.5, 0.7, 0.71, 1.0])
    return st.lists(
        st.lists(cell, min_size=num_references, max_size=num_references),
        min_size=num_objects,
        max_size=num_objects,
    ).map(torch.tensor)


@given(st.integers(1, 4).flatmap(lambda n: overlaps(n, 6)), st.booleans())
def test_matches_are_torchvisions(iou, keep_best):
    """SYS-024: from 0.7, or the best of an object, it is one; below 0.3 background; between ignored."""
    expected = Matcher(0.7, 0.3, allow_low_quality_matches=keep_best)(iou)
    got = match_by_iou(
        iou,
        torch.ones(len(iou), dtype=torch.bool),
        positive_from=0.7,
        negative_below=0.3,
        keep_best=keep_best,
    )
    # torchvision gives an object that nothing touches to every reference; here it stays without.
    touched = torch.ones(6, dtype=torch.bool)
    if keep_best:
        touched = ~(iou.amax(dim=1, keepdim=True).eq(0) & iou.eq(0)).any(dim=0)
    assert torch.equal(got.positive[touched], (expected >= 0)[touched])
    assert torch.equal(got.negative[touched], (expected == Matcher.BELOW_LOW_THRESHOLD)[touched])
    assert torch.equal(got.object_index[got.positive & touched], expected[got.positive & touched])


@given(overlaps(3, 5), st.lists(st.booleans(), min_size=3, max_size=3), st.booleans())
def test_padding_rows_are_as_if_they_were_not_there(iou, valid, keep_best):
    valid = torch.tensor(valid)
    thresholds = {"positive_from": 0.7, "negative_below": 0.3, "keep_best": keep_best}
    got = match_by_iou(iou, valid, **thresholds)
    bare = match_by_iou(iou[valid], torch.ones(int(valid.sum()), dtype=torch.bool), **thresholds)
    assert torch.equal(got.positive, bare.positive)
    assert torch.equal(got.negative, bare.negative)
    originals = valid.nonzero()[:, 0]
    assert torch.equal(got.object_index[got.positive], originals[bare.object_index[got.positive]])


@pytest.mark.parametrize("num_objects", [0, 2])
@pytest.mark.parametrize("keep_best", [True, False])
def test_without_objects_everything_is_background(num_objects, keep_best):
    iou, valid = torch.rand(3, num_objects, 7), torch.zeros(3, num_objects, dtype=torch.bool)
    got = match_by_iou(iou, valid, positive_from=0.5, negative_below=0.5, keep_best=keep_best)
    assert got.positive.shape == got.negative.shape == got.object_index.shape == (3, 7)
    assert got.object_index.dtype == torch.int64
    assert not got.positive.any()
    assert got.negative.all()


def test_without_references_nothing_matches():
    if_any = {"positive_from": 0.5, "negative_below": 0.5, "keep_best": False}
    got = match_by_iou(torch.zeros(2, 3, 0), torch.ones(2, 3, dtype=torch.bool), **if_any)
    assert got.positive.shape == (2, 0)


def test_an_object_that_nothing_touches_claims_nothing():
    iou = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.1, 0.8]])
    got = match_by_iou(iou, torch.tensor([True, True]), positive_from=0.7, negative_below=0.3, keep_best=True)
    assert got.positive.tolist() == [False, False, True]
    assert got.negative.tolist() == [True, True, False]


def test_batch_axes_are_independent():
    iou = torch.rand(2, 3, 4, 9, generator=torch.Generator().manual_seed(0))
    valid = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(1)) > 0.4
    thresholds = {"positive_from": 0.7, "negative_below": 0.3, "keep_best": True}
    whole = match_by_iou(iou, valid, **thresholds)
    for row in range(2):
        for column in range(3):
            one = match_by_iou(iou[row, column], valid[row, column], **thresholds)
            assert torch.equal(whole.positive[row, column], one.positive)
            assert torch.equal(whole.negative[row, column], one.negative)
            assert torch.equal(whole.object_index[row, column], one.object_index)


def test_the_overlaps_are_left_alone():
    iou = torch.rand(2, 5)
    before = iou.clone()
    match_by_iou(iou, torch.tensor([True, False]), positive_from=0.7, negative_below=0.3, keep_best=True)
    assert torch.equal(iou, before)
