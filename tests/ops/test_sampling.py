"""Drawing a fixed number of positives and negatives."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snellen.ops import draw_balanced

LARGEST = 1 - 2.0**-24  # what torch.rand can return at most; 1 + this rounds to 2 in float32


@given(
    st.lists(st.sampled_from("pn-"), min_size=0, max_size=30),
    st.integers(0, 20),
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    st.data(),
)
def test_counts_are_exact_and_nothing_else_is_drawn(kinds, slots, share, data):
    # Zeros, ties and the largest priority there is, at random.
    priority = st.one_of(st.sampled_from([0.0, 0.5, LARGEST]), st.floats(0, LARGEST, width=32))
    priorities = torch.tensor(data.draw(st.lists(priority, min_size=len(kinds), max_size=len(kinds))))
    positive = torch.tensor([kind == "p" for kind in kinds], dtype=torch.bool)
    negative = torch.tensor([kind == "n" for kind in kinds], dtype=torch.bool)
    drawn = draw_balanced(positive, negative, priorities, slots=slots, positive_share=share)
    # The rule of torchvision's BalancedPositiveNegativeSampler.
    num_positive = min(int(positive.sum()), int(slots * share))
    num_negative = min(int(negative.sum()), slots - num_positive)
    assert drawn.index.shape == (min(slots, len(kinds)),)
    assert int((drawn.positive & drawn.valid).sum()) == int(drawn.positive.sum()) == num_positive
    assert int(drawn.valid.sum()) == num_positive + num_negative
    assert positive[drawn.index[drawn.positive]].all()
    assert negative[drawn.index[drawn.valid & ~drawn.positive]].all()
    assert len(drawn.index.unique()) == len(drawn.index)
    assert drawn.valid.long().diff().le(0).all()  # empty slots come last


def test_the_largest_priority_does_not_make_a_negative_positive():
    negative = torch.ones(4, dtype=torch.bool)
    drawn = draw_balanced(~negative, negative, torch.full((4,), LARGEST), slots=4, positive_share=0.5)
    assert drawn.valid.all()
    assert not drawn.positive.any()


def test_most_positives_depend_on_the_slots_not_on_the_candidates():
    positive = torch.tensor([True] * 6 + [False] * 2)
    drawn = draw_balanced(positive, ~positive, torch.rand(8), slots=16, positive_share=0.5)
    assert int(drawn.positive.sum()) == 6


def test_higher_priority_is_drawn_first():
    positive = torch.tensor([True, True, True, False, False, False])
    priority = torch.tensor([0.1, 0.9, 0.5, 0.2, 0.8, 0.0])
    drawn = draw_balanced(positive, ~positive, priority, slots=3, positive_share=0.34)
    assert drawn.index.tolist() == [1, 4, 3]
    assert drawn.positive.tolist() == [True, False, False]


def test_uniform_noise_draws_uniformly():
    rounds, positives, negatives = 20_000, 5, 12
    positive = (torch.arange(positives + negatives + 3) < positives).expand(rounds, -1)
    negative = (torch.arange(positives + negatives + 3) >= positives + 3).expand(rounds, -1)
    noise = torch.rand(rounds, positive.shape[1], generator=torch.Generator().manual_seed(0))
    drawn = draw_balanced(positive, negative, noise, slots=8, positive_share=0.25)
    counts = torch.bincount(drawn.index[drawn.valid], minlength=positive.shape[1]).double()
    assert counts[positives : positives + 3].sum() == 0
    for part, expected in ((counts[:positives], 2 / positives), (counts[positives + 3 :], 6 / negatives)):
        spread = (rounds * expected * (1 - expected)) ** 0.5
        assert ((part - rounds * expected).abs() < 4.5 * spread).all()


@pytest.mark.parametrize("leading", [(2,), (2, 3)])
def test_batch_axes_are_independent(leading):
    generator = torch.Generator().manual_seed(3)
    kind = torch.randint(0, 3, (*leading, 11), generator=generator)
    noise = torch.rand(*leading, 11, generator=generator)
    whole = draw_balanced(kind == 0, kind == 1, noise, slots=6, positive_share=0.5)
    flat = [part.flatten(0, -2) for part in (kind, noise, whole.index, whole.positive, whole.valid)]
    for one_kind, one_noise, index, positive, valid in zip(*flat, strict=True):
        one = draw_balanced(one_kind == 0, one_kind == 1, one_noise, slots=6, positive_share=0.5)
        assert torch.equal(one.index, index)
        assert torch.equal(one.positive, positive)
        assert torch.equal(one.valid, valid)


def test_nothing_to_draw_from():
    none = torch.zeros(2, 0, dtype=torch.bool)
    drawn = draw_balanced(none, none, torch.zeros(2, 0), slots=4, positive_share=0.5)
    assert drawn.index.shape == drawn.positive.shape == drawn.valid.shape == (2, 0)
