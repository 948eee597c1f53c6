"""The sum of the focal loss against torchvision's loss and the house's."""

import pytest
import torch
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from snellen.losses import alpha_balanced_cross_entropy, focal_loss
from snellen.models.detection.focal_sum import focal_sum


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1)


def dense_focal_sum(logits, labels, weights, alpha, gamma):
    targets = functional.one_hot(labels.clamp(min=0), logits.shape[2]).double() * (labels >= 0)[..., None]
    loss = sigmoid_focal_loss(logits, targets, alpha=-1 if alpha is None else alpha, gamma=gamma)
    return (loss * weights[..., None]).sum()


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.75, 0.0), (None, 0.5), (None, 0.0), (0.1, 5.0)])
def test_focal_sum_is_torchvisions_loss(alpha, gamma, monkeypatch):
    """SYS-148; with no alpha and gamma 0 it is cross-entropy."""
    monkeypatch.setattr("snellen.models.detection.focal_sum._PART", 23)  # several parts, the last one short
    logits = (torch.randn(2, 37, 5, dtype=torch.float64) * 4).requires_grad_()
    labels = torch.randint(-1, 5, (2, 37))
    weights = torch.rand(2, 37, dtype=torch.float64)
    got = focal_sum(logits, labels, weights, alpha=alpha, gamma=gamma)
    expected = dense_focal_sum(logits, labels, weights, alpha, gamma)
    torch.testing.assert_close(got, expected)
    mine = torch.autograd.grad(got * 3, logits)[0]
    torch.testing.assert_close(mine, torch.autograd.grad(expected * 3, logits)[0])
    targets = functional.one_hot(labels.clamp(min=0), 5) * (labels >= 0)[..., None]
    house = (focal_loss(logits.detach(), targets.double(), alpha=alpha, gamma=gamma) * weights[..., None]).sum()
    torch.testing.assert_close(house, got.detach(), check_dtype=False, rtol=1e-5, atol=1e-5)
    if gamma == 0 and alpha is not None:
        plain = alpha_balanced_cross_entropy(logits.detach(), targets.double(), alpha=alpha)
        torch.testing.assert_close(
            (plain * weights[..., None]).sum(), got.detach(), check_dtype=False, rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_sum_stays_finite(gamma):
    logits = torch.tensor([-1e4, -200.0, -30.0, 0.0, 30.0, 200.0, 1e4]).expand(1, 3, 7).clone().requires_grad_()
    total = focal_sum(logits, torch.tensor([[-1, 0, 6]]), torch.ones(1, 3), gamma=gamma)
    total.backward()
    assert total.isfinite()
    assert logits.grad.isfinite().all()


def test_focal_sum_in_half_precision():
    logits = torch.randn(2, 50, 4)
    labels = torch.randint(-1, 4, (2, 50))
    exact = focal_sum(logits.bfloat16().float(), labels, torch.ones(2, 50))
    half = logits.bfloat16().requires_grad_()
    got = focal_sum(half, labels, torch.ones(2, 50))
    got.backward()
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.detach(), exact)
    assert half.grad.dtype == torch.bfloat16
