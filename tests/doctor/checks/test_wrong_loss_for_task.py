"""A loss for numbers where classes are learned (M24; DX-044, DX-045)."""

import pytest
import torch
from torch.nn import functional

from snellen.doctor import Status, find_check

ONE_HOT = torch.eye(3)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda z, y: functional.mse_loss(z.softmax(1), ONE_HOT[y]), "squared"),
        (lambda z, y: functional.mse_loss(z, ONE_HOT[y]), "squared"),
        (lambda z, y: functional.mse_loss(z.sigmoid(), ONE_HOT[y]), "squared"),
        (lambda z, y: functional.l1_loss(z, ONE_HOT[y]), "absolute"),
        (lambda z, y: functional.smooth_l1_loss(z, ONE_HOT[y]), "absolute"),
    ],
)
def test_numbers_for_classes(small_net, labelled, checked, messages, loss, message) -> None:
    """DX-044, DX-045: squared error behind a softmax or sigmoid."""
    assert messages(checked("M24", small_net(), labelled, loss)) == [f"WARNING {message}"]


def test_one_output_for_yes_and_no(small_net, labelled, checked, messages) -> None:
    batch = labelled[0], (labelled[1] > 0).float()[:, None]
    loss = lambda z, y: functional.mse_loss(z.sigmoid(), y)  # noqa: E731
    assert messages(checked("M24", small_net(1), batch, loss)) == ["WARNING squared"]


def test_healthy(small_net, labelled, checked) -> None:
    assert checked("M24", small_net(), labelled, functional.cross_entropy).status == Status.PASSED
    numbers = labelled[0], torch.randn(8, 1)
    assert checked("M24", small_net(1), numbers, functional.mse_loss).status == Status.PASSED
    pictures = labelled[0], labelled[0].sigmoid()
    copier = torch.nn.Conv2d(3, 3, 3, padding=1)
    assert checked("M24", copier, pictures, functional.mse_loss).status == Status.PASSED


def test_an_unknown_loss_cannot_be_told(small_net, labelled, checked) -> None:
    assert checked("M24", small_net(), labelled, functional.multi_margin_loss).status == Status.NOT_CHECKABLE


def test_message(small_net, labelled, checked) -> None:
    (finding,) = checked("M24", small_net(), labelled, lambda z, y: functional.mse_loss(z, ONE_HOT[y])).findings
    assert find_check("M24").pages["en"].message(finding) == (
        "Classes are learned with a squared error, whose gradient fades where the model is sure and wrong (3 outputs)."
    )
