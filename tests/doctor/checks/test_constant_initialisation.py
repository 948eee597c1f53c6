"""Units that start the same and stay the same (M10, DX-064)."""

import pytest
import torch
from tests.doctor.zoo.sick import perceptron, set_constant
from torch import nn
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


@pytest.mark.parametrize("value", [0.0, 0.01, 1.0])
def test_constant_hidden_layer(labelled, checked, messages, value) -> None:
    """SYS-201, ERR-040: zeros get no gradient, equal units stay equal."""
    model = perceptron(3)
    for layer in model:
        if isinstance(layer, nn.Linear):
            set_constant(layer, value)
    result = checked("M10", model, labelled, CE)
    assert messages(result) == ["ERROR still" if value == 0 else "ERROR default"]
    assert "1.weight" in {place.name for place in result.findings[0].places}


def test_says_how_many(labelled, checked) -> None:
    model = perceptron(3)
    set_constant(model[3], 0.5)
    set_constant(model[5], 0.5)
    (finding,) = checked("M10", model, labelled, CE).findings
    assert find_check("M10").pages["en"].message(finding) == (
        "All 32 units of 3.weight start as copies of one another (mean weight 0.5) and are still copies after 3 steps; "
        "so it is in 1 of 3 layers."
    )


def test_convolution_with_dropout(small_net, labelled, checked, messages) -> None:
    """Noise that differs between equal units does not make them different."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(512, 3)
    )
    set_constant(model[0], 0.1)
    set_constant(model[3], 0.1)
    set_constant(model[6], 0.1)
    assert messages(checked("M10", model, labelled, CE)) == ["ERROR default"]


@pytest.mark.parametrize("place", [1, 5])
def test_one_layer_of_zeros_that_learns(labelled, checked, place) -> None:
    """ERR-040: a last layer of zeros is a habit, and a first one learns if what follows tells its units apart."""
    model = perceptron(3, "tanh")
    set_constant(model[place])
    assert checked("M10", model, labelled, CE).status == Status.PASSED


def test_copies_that_part(labelled, checked, messages) -> None:
    """Filters of one constant value, told apart by a random layer behind them."""
    model = perceptron(3, "tanh")
    set_constant(model[3], 0.01)
    assert messages(checked("M10", model, labelled, CE)) == ["WARNING copies"]


def test_residual_branch_that_starts_from_zero(labelled, checked) -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.up, self.down, self.head = (
                nn.Conv2d(3, 8, 3),
                nn.Linear(8, 8),
                nn.Linear(8, 8),
                nn.Linear(8, 3),
            )
            set_constant(self.down)
            set_constant(self.head)

        def forward(self, images):
            x = self.stem(images).mean((2, 3))
            return self.head(x + self.down(self.up(x).relu()))

    torch.manual_seed(0)
    assert checked("M10", Branch(), labelled, CE).status == Status.PASSED


def test_random_weights(small_net, labelled, checked) -> None:
    assert checked("M10", small_net(), labelled, CE).status == Status.PASSED


def test_gains_are_the_same_for_all_units(labelled, checked) -> None:
    model = perceptron(3)
    model[1] = nn.utils.parametrizations.weight_norm(model[1])
    nn.init.ones_(model[1].parametrizations.weight.original0)
    assert checked("M10", model, labelled, CE).status == Status.PASSED


def test_frozen_filters_are_no_fault(labelled, checked) -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    set_constant(model[0], 1 / 9)
    model[0].requires_grad_(False)
    assert checked("M10", model, labelled, CE).status == Status.PASSED


def test_without_a_loss_equal_units_cannot_be_judged(labelled, checked) -> None:
    model = perceptron(3)
    set_constant(model[1])
    assert checked("M10", model, labelled[0]).status == Status.NOT_CHECKABLE
