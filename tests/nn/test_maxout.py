"""The maxout unit (SYS-134)."""

import pytest
import torch
from torch import nn

from snellen.errors import ConfigError, ShapeError
from snellen.nn import Maxout


def test_the_largest_of_neighbours():
    x = torch.tensor([[1.0, -2.0, 3.0, 4.0, -5.0, -6.0]])
    assert Maxout(2)(x).tolist() == [[1.0, 4.0, -5.0]]
    assert Maxout(3)(x).tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize("shape", [(0, 6), (2, 6), (2, 6, 3, 5), (1, 6, 0, 4)])
def test_shapes_are_kept(shape):
    assert Maxout(3)(torch.rand(shape)).shape == (shape[0], 2, *shape[2:])


def test_relu_is_a_unit_with_one_piece_of_zeros():
    """Goodfellow et al. 2013, section 3: ReLU is among what a unit can become."""
    dense = nn.Linear(4, 6, bias=False)
    with torch.no_grad():
        dense.weight[1::2] = 0
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Maxout(2)(dense(x)), torch.relu(dense(x)[:, 0::2]))


def test_any_convex_function_of_one_number():
    """The absolute value and a parabola's tangents, section 3, figure 1."""
    x = torch.linspace(-1, 1, 41)[:, None]
    tangents = torch.linspace(-1, 1, 21)
    pieces = x * 2 * tangents - tangents**2
    torch.testing.assert_close(Maxout(21)(pieces), x**2, atol=0.003, rtol=0)


def test_gradients_go_to_the_piece_that_was_chosen():
    """SYS-183."""
    x = torch.tensor([[1.0, 2.0, -3.0, -4.0]], requires_grad=True)
    (Maxout(2)(x) * torch.tensor([5.0, 7.0])).sum().backward()
    assert x.grad.tolist() == [[0.0, 5.0, 7.0, 0.0]]
    y = torch.randn(2, 6, 3, 3, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(Maxout(3), y)


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(ShapeError, match="multiple of pieces = 4; got 6"):
        Maxout(4)(torch.rand(1, 6))
    with pytest.raises(ConfigError, match="at least 2"):
        Maxout(1)
