"""Layers without a non-linearity between them (M17, DX-070)."""

import pytest
import torch
from tests.doctor.zoo.sick import HandWritten, perceptron
from torch import nn
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


def test_no_activation_anywhere(labelled, checked, messages) -> None:
    """SYS-094, SYS-115, ERR-048, ERR-049: layers without an activation are one linear map."""
    result = checked("M17", perceptron(4, None, norm=True), labelled, CE)
    assert messages(result) == ["ERROR default"]
    assert find_check("M17").pages["en"].message(result.findings[0]) == (
        "The network is affine: there is no non-linear function in its 4 layers, so they are one linear layer."
    )
    assert result.findings[0].measured < 1e-5


def test_output_activation_does_not_count(labelled, checked, messages) -> None:
    model = nn.Sequential(*perceptron(3, None), nn.Softmax(1))
    assert messages(checked("M17", model, labelled, CE)) == ["ERROR default"]


def test_hand_written_forward(labelled, checked, messages) -> None:
    assert checked("M17", HandWritten(), labelled, CE).status == Status.PASSED
    assert messages(checked("M17", HandWritten(bend=lambda x: x), labelled, CE)) == ["ERROR default"]


def test_max_pooling_alone(labelled, checked, messages) -> None:
    sick = HandWritten(bend=lambda x: x, pool=functional.max_pool2d)
    assert messages(checked("M17", sick, labelled, CE)) == ["WARNING only_weak"]


def test_projection(labelled, checked, messages) -> None:
    """A linear autoencoder is a model of its own."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(432, 2), nn.Linear(2, 432))
    images = labelled[0]
    assert messages(checked("M17", model, (images, images.flatten(1)), functional.mse_loss)) == ["WARNING projection"]


def test_one_activation_left_out(labelled, checked, messages) -> None:
    model = perceptron(5)
    sick = nn.Sequential(*(part for place, part in enumerate(model) if place != 4))
    result = checked("M17", sick, labelled, CE)
    assert messages(result) == ["WARNING stretch"]
    assert checked("M17", model, labelled, CE).status == Status.PASSED


def test_one_of_many_is_a_note(labelled, checked, messages) -> None:
    model = perceptron(14)
    sick = nn.Sequential(*(part for place, part in enumerate(model) if place != 4))
    assert messages(checked("M17", sick, labelled, CE)) == ["INFO stretch"]


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(432, 3)),
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 16, 1), nn.ReLU(),
                      nn.Flatten(), nn.Linear(1024, 3)),
        nn.Sequential(nn.Flatten(), nn.Linear(432, 64), nn.ReLU(), nn.Linear(64, 4), nn.Linear(4, 64), nn.ReLU(),
                      nn.Linear(64, 3)),
    ],
    ids=["logistic regression", "separable", "bottleneck"],
)  # fmt: skip
def test_linear_by_design(labelled, checked, model) -> None:
    assert checked("M17", model, labelled, CE).status == Status.PASSED


def test_a_last_layer_of_zeros_hides_nothing(labelled, checked) -> None:
    """A constant output is affine too, and says nothing of the layers before."""
    model = perceptron(3)
    nn.init.zeros_(model[-1].weight)
    assert checked("M17", model, labelled, CE).status == Status.PASSED


def test_bytes(labelled, checked, messages) -> None:
    class Bytes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second = nn.Linear(432, 16), nn.Linear(16, 3)

        def forward(self, images):
            return self.second(self.first(images.flatten(1) / 255))

    images = torch.randint(256, (8, 3, 12, 12), dtype=torch.uint8)
    assert messages(checked("M17", Bytes(), (images, labelled[1]), CE)) == ["ERROR default"]
