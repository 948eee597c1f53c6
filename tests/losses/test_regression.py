import math

import pytest
import torch

from snellen.losses import balanced_l1, smooth_l1


def test_by_hand():
    """SYS-146."""
    loss = smooth_l1(torch.tensor([0.0, 0.5, 3.0, -3.0]), torch.zeros(4), beta=1.0)
    assert loss.tolist() == pytest.approx([0, 0.125, 2.5, 2.5])


def test_beta_is_where_parabola_meets_line():
    """SYS-145, SYS-146: with a beta of 0 it is the absolute error."""
    assert smooth_l1(torch.tensor([1 / 9]), torch.zeros(1), beta=1 / 9).item() == pytest.approx(1 / 18)
    assert smooth_l1(torch.tensor([-2.0]), torch.zeros(1), beta=0.0).item() == 2


def grid(low, high, count=2001):
    return torch.linspace(low, high, count).requires_grad_()


@pytest.mark.parametrize(("alpha", "gamma"), [(0.5, 1.5), (0.2, 1.0), (1.0, 2.0)])
def test_gradient_of_balanced_l1_is_the_papers(alpha, gamma):
    """Pang et al. 2019: α ln(b|x| + 1) below 1, γ beyond."""
    difference = grid(-3, 3)
    balanced_l1(difference, torch.zeros(2001), alpha=alpha, gamma=gamma).sum().backward()
    size = difference.detach().abs()
    bend = math.exp(gamma / alpha) - 1
    expected = torch.where(size < 1, alpha * torch.log(bend * size + 1), torch.tensor(gamma))
    torch.testing.assert_close(difference.grad, expected * difference.detach().sign(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.5, 1.5), (0.2, 1.0)])
def test_balanced_l1_is_the_papers_formula(alpha, gamma):
    """Pang et al. 2019, with the constant that makes it continuous."""
    difference = torch.linspace(-3, 3, 301)
    size, bend = difference.abs(), math.exp(gamma / alpha) - 1
    near = alpha / bend * (bend * size + 1) * torch.log(bend * size + 1) - alpha * size
    expected = torch.where(size < 1, near, gamma * size + gamma / bend - alpha)
    got = balanced_l1(difference, torch.zeros(301), alpha=alpha, gamma=gamma)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_balanced_l1_is_continuous():
    around = torch.tensor([1 - 1e-4, 1.0, 1 + 1e-4])
    below, at, above = balanced_l1(around, torch.zeros(3)).tolist()
    assert at - below == pytest.approx(1.5e-4, rel=2e-2)
    assert above - at == pytest.approx(1.5e-4, rel=2e-2)
    assert balanced_l1(torch.zeros(0), torch.zeros(0)).shape == (0,)
    assert balanced_l1(torch.zeros(1), torch.zeros(1)).item() == 0


def test_balanced_l1_favours_accurate_boxes():
    """Its purpose: more gradient than smooth L1 from differences under 1, relative to large ones."""
    small = torch.tensor([0.2], requires_grad=True)
    balanced_l1(small, torch.zeros(1)).backward()
    assert small.grad.item() / 1.5 > 0.2
