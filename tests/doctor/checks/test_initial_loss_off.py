"""A loss that does not start where it should (M2)."""

import torch
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


def test_sure_of_wrong_answers(small_net, labelled, checked, messages) -> None:
    assert messages(checked("M2", small_net(behind=lambda z: z * 300), labelled, CE)) == ["WARNING high"]
    assert messages(checked("M2", small_net(behind=lambda z: z * 15), labelled, CE)) == ["INFO high"]


def test_lower_than_guesses_can_give(small_net, labelled, checked, messages) -> None:
    torch.manual_seed(3)
    net = small_net(behind=lambda z: (z - z.mean(0)) * 1e-3 + torch.tensor([0.0, 0.0, 0.5]))
    loss = lambda z, y: CE(z, y) / 5  # noqa: E731
    labels = torch.tensor([0, 1, 0, 1, 2, 0, 1, 0])
    assert messages(checked("M2", net, (labelled[0], labels), loss)) == ["WARNING low"]


def test_healthy(small_net, labelled, checked) -> None:
    assert checked("M2", small_net(), labelled, CE).status == Status.PASSED
    many = (labelled[0], torch.eye(3)[labelled[1]])
    assert checked("M2", small_net(), many, functional.binary_cross_entropy_with_logits).status == Status.PASSED


def test_trained_models_start_low_and_are_left_alone(small_net, labelled, checked) -> None:
    batch = labelled
    net = small_net(behind=lambda z: z * 0 + 8 * torch.eye(3)[batch[1]])
    assert checked("M2", net, batch, CE).status == Status.PASSED


def test_regression_cannot_be_told(small_net, labelled, checked) -> None:
    result = checked("M2", small_net(1), (labelled[0], torch.rand(8, 1)), functional.mse_loss)
    assert result.status == Status.NOT_CHECKABLE


def test_message(small_net, labelled, checked) -> None:
    (finding,) = checked("M2", small_net(behind=lambda z: z * 300), labelled, CE).findings
    told = find_check("M2").pages["en"].message(finding)
    assert told.startswith(f"The loss starts at {finding.numbers['loss']}; a model that knows nothing would have 1.099")
