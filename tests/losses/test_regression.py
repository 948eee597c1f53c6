import pytest
import torch

from snellen.losses import smooth_l1


def test_by_hand():
    loss = smooth_l1(torch.tensor([0.0, 0.5, 3.0, -3.0]), torch.zeros(4), beta=1.0)
    assert loss.tolist() == pytest.approx([0, 0.125, 2.5, 2.5])


def test_beta_is_where_parabola_meets_line():
    assert smooth_l1(torch.tensor([1 / 9]), torch.zeros(1), beta=1 / 9).item() == pytest.approx(1 / 18)
    assert smooth_l1(torch.tensor([-2.0]), torch.zeros(1), beta=0.0).item() == 2
