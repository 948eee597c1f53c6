"""Focal losses against torchvision's and torch's, in values and in gradients."""

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from snellen.losses import (
    alpha_balanced_cross_entropy,
    binary_cross_entropy,
    focal_loss,
    soft_cross_entropy,
    soft_focal_loss,
    softmax_focal_loss,
)


def some(count=200, soft=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, generator=generator) * 4
    targets = torch.rand(count, generator=generator)
    return logits, targets if soft else (targets < 0.3).float()


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.9, 0.5), (-1, 2.0), (0.25, 0.0), (0.5, 5.0)])
def test_is_torchvisions(soft, alpha, gamma):
    logits, targets = some(soft=soft)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    got = focal_loss(ours, targets, alpha=None if alpha == -1 else alpha, gamma=gamma)
    expected = torchvision.ops.sigmoid_focal_loss(theirs, targets, alpha=alpha, gamma=gamma)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)
    got.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)


def test_without_alpha_and_gamma_it_is_cross_entropy():
    logits, targets = some(soft=True)
    assert torch.equal(focal_loss(logits, targets, alpha=None, gamma=0.0), binary_cross_entropy(logits, targets))


def test_by_hand():
    """Lin et al. 2017: an easy example (p_t = 0.9) has a loss 100 times lower than cross-entropy's."""
    logit = torch.logit(torch.tensor([0.9]))
    plain = focal_loss(logit, torch.ones(1), alpha=None, gamma=0.0)
    assert (plain / focal_loss(logit, torch.ones(1), alpha=None)).item() == pytest.approx(100, rel=1e-4)


@given(st.floats(-1e4, 1e4, width=32), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
@settings(deadline=None)
def test_finite_at_any_magnitude(value, target, gamma):
    logit = torch.tensor([value], requires_grad=True)
    loss = focal_loss(logit, torch.tensor([target]), gamma=gamma)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logit.grad.isfinite().all()
    assert loss >= 0


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_softmax_is_the_formula(gamma):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 40, 5, generator=generator).mul(3).requires_grad_()
    labels = torch.randint(0, 5, (3, 40), generator=generator)
    weights = torch.rand(5, generator=generator)
    prob = logits.softmax(-1).gather(-1, labels[..., None])[..., 0]
    expected = -weights[labels] * (1 - prob) ** gamma * prob.log()
    got = softmax_focal_loss(logits, labels, class_weights=weights, gamma=gamma)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)
    plain = softmax_focal_loss(logits, labels, gamma=0.0)
    cross = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(3, 40)
    torch.testing.assert_close(plain, cross)


def test_softmax_of_two_classes_is_the_sigmoid_form():
    logits, targets = some()
    pair = torch.stack([torch.zeros_like(logits), logits], dim=-1)
    torch.testing.assert_close(
        softmax_focal_loss(pair, targets.long(), class_weights=torch.tensor([0.75, 0.25])),
        focal_loss(logits, targets),
        rtol=1e-4,
        atol=1e-6,
    )


def test_softmax_is_finite_when_certain():
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = softmax_focal_loss(logits, torch.tensor([0, 0]), gamma=0.5)
    loss.sum().backward()
    assert loss[0] == 0
    assert loss[1] == 2e4
    assert logits.grad.isfinite().all()


def test_alpha_balanced_is_weighted_cross_entropy():
    logits, targets = some()
    weight = torch.where(targets > 0, 0.1, 0.9)
    expected = functional.binary_cross_entropy_with_logits(logits, targets, weight=weight, reduction="none")
    torch.testing.assert_close(alpha_balanced_cross_entropy(logits, targets, alpha=0.1), expected)
    torch.testing.assert_close(focal_loss(logits, targets, alpha=0.1, gamma=0.0), expected)


def test_empty_and_half_precision():
    assert focal_loss(torch.zeros(0, 3), torch.zeros(0, 3)).shape == (0, 3)
    assert softmax_focal_loss(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)).shape == (0,)
    assert focal_loss(torch.zeros(2).half(), torch.zeros(2).half()).dtype == torch.float32


def test_against_distributions_it_is_the_loss_of_one_class_in_proportion():
    """SYS-148: with one class wanted it is the softmax focal loss, with a blend the terms are mixed."""
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(30, 5, generator=generator) * 4
    labels = torch.randint(5, (30,), generator=generator)
    weights = torch.rand(5, generator=generator)
    hard = functional.one_hot(labels, 5).float()
    expected = softmax_focal_loss(logits, labels, class_weights=weights, gamma=1.5)
    torch.testing.assert_close(soft_focal_loss(logits, hard, class_weights=weights, gamma=1.5), expected)
    other = labels.roll(1)
    blend = 0.3 * hard + 0.7 * functional.one_hot(other, 5)
    mixed = 0.3 * softmax_focal_loss(logits, labels) + 0.7 * softmax_focal_loss(logits, other)
    torch.testing.assert_close(soft_focal_loss(logits, blend), mixed)


def test_without_gamma_it_is_cross_entropy_with_weights_and_smoothing():
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(20, 4, generator=generator)
    probs = torch.rand(20, 4, generator=generator).softmax(-1)
    options = {"class_weights": torch.tensor([1.0, 0.2, 3.0, 0.0]), "label_smoothing": 0.1}
    torch.testing.assert_close(
        soft_focal_loss(logits, probs, gamma=0.0, **options), soft_cross_entropy(logits, probs, **options)
    )
    extreme = torch.tensor([[200.0, -200.0]])
    assert torch.isfinite(soft_focal_loss(extreme, torch.tensor([[0.0, 1.0]]))).all()
