"""Softmax and sigmoid mixed up (M25; DX-047)."""

import torch
from torch.nn import functional

from snellen.doctor import Status, find_check

CE, BCE = functional.cross_entropy, functional.binary_cross_entropy_with_logits
MANY = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]] * 2)


def test_softmax_for_many(small_net, labelled, checked) -> None:
    """DX-047: two true labels can never both be above one half."""
    (finding,) = checked("M25", small_net(), (labelled[0], MANY), CE).findings
    assert finding.message == "softmax_for_many"
    assert find_check("M25").pages["en"].message(finding) == (
        "The loss has a softmax, but 4 samples of the batch have several labels and 2 have none."
    )


def test_sigmoid_for_one_is_only_told(small_net, labelled, checked, messages) -> None:
    batch = labelled[0], torch.eye(3)[labelled[1]]
    assert messages(checked("M25", small_net(), batch, BCE)) == ["INFO sigmoid_for_one"]


def test_healthy(small_net, labelled, checked) -> None:
    shares = MANY / MANY.sum(1, keepdim=True).clamp(min=1)
    shares[shares.sum(1) == 0] = 1 / 3  # mixed labels, as mixup gives
    for targets, loss in ((MANY, BCE), (labelled[1], CE), (shares, CE)):
        assert checked("M25", small_net(), (labelled[0], targets), loss).status == Status.PASSED


def test_numbers_cannot_be_told(small_net, labelled, checked) -> None:
    result = checked("M25", small_net(1), (labelled[0], torch.randn(8, 1)), functional.mse_loss)
    assert result.status == Status.NOT_CHECKABLE
