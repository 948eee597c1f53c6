"""Logit adjustment against the sums of the paper."""

import math

import pytest
import torch
from torch.nn import functional

from snellen.losses import log_priors, logit_adjusted, soft_cross_entropy


def test_the_loss_is_the_papers_sum():
    """Menon et al. 2021, eq. 10, second form: log(1 + sum over y' of (π_y' / π_y)^τ · e^(f_y' − f_y))."""
    generator = torch.Generator().manual_seed(0)
    counts = torch.tensor([900, 80, 20])
    logits = torch.randn(50, 3, generator=generator) * 3
    labels = torch.randint(3, (50,), generator=generator)
    share = (counts / counts.sum()).tolist()
    for tau in (0.5, 1.0, 2.0):
        adjusted = logit_adjusted(logits, log_priors(counts), tau=tau)
        got = soft_cross_entropy(adjusted, functional.one_hot(labels, 3).float())
        for row, label, loss in zip(logits.tolist(), labels.tolist(), got.tolist(), strict=True):
            terms = [
                (share[other] / share[label]) ** tau * math.exp(row[other] - row[label])
                for other in range(3)
                if other != label
            ]
            assert loss == pytest.approx(math.log1p(sum(terms)), rel=1e-4, abs=1e-5)


def test_afterwards_it_divides_by_the_shares():
    """Menon et al. 2021, eq. 9: the greatest of e^f / π^τ is told."""
    counts = torch.tensor([98, 2])
    logits = torch.log(torch.tensor([[0.9, 0.1], [0.985, 0.015]]))
    corrected = logit_adjusted(logits, log_priors(counts), tau=-1.0).softmax(-1)
    weighed = torch.tensor([[0.9 / 0.98, 0.1 / 0.02], [0.985 / 0.98, 0.015 / 0.02]])
    torch.testing.assert_close(corrected, weighed / weighed.sum(-1, keepdim=True))
    assert corrected.argmax(-1).tolist() == [1, 0]


def test_a_class_without_examples_is_never_favoured():
    """SYS-149: nothing is known of an empty class; 1 / 0 must not decide."""
    prior = log_priors(torch.tensor([90, 0, 10]))
    assert prior.tolist() == pytest.approx([math.log(0.9), math.log(0.9), math.log(0.1)])
    assert log_priors(torch.tensor([0, 0])).isfinite().all()
    assert log_priors(torch.zeros(0, dtype=torch.int64)).shape == (0,)
