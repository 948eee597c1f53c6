"""Output, targets and loss that do not belong together (M4; DX-046, DX-051)."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.doctor import Status, find_check

CE, BCE = functional.cross_entropy, functional.binary_cross_entropy_with_logits
MANY = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]] * 2)


@pytest.mark.parametrize(
    ("behind", "loss", "message"),
    [
        (lambda z: z.softmax(1), CE, "softmax_twice"),
        (lambda z: z.softmax(1).clone().view(-1, 3), nn.CrossEntropyLoss(label_smoothing=0.1), "softmax_twice"),
        (lambda z: z.softmax(1), nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 3.0])), "softmax_twice"),
        (None, lambda z, y: CE(z.softmax(1), y), "softmax_twice"),
        (torch.sigmoid, CE, "sigmoid_then_softmax"),
        (None, functional.nll_loss, "logits_into_nll"),
        (lambda z: z.softmax(1), functional.nll_loss, "probabilities_into_nll"),
        (None, lambda z, y: CE(z.detach() * 0 + z, torch.zeros_like(y)), "targets_unread"),
        (None, lambda z, y: CE(z, y.float()), "loss_fails"),
        (lambda z: z / 0, CE, "not_finite"),
    ],
)
def test_classes(small_net, labelled, checked, messages, behind, loss, message) -> None:
    """DX-046, ERR-172: probabilities, or logits, in the wrong place."""
    assert f"ERROR {message}" in messages(checked("M4", small_net(behind=behind), labelled, loss))


@pytest.mark.parametrize(
    ("behind", "loss", "message"),
    [
        (torch.sigmoid, BCE, "sigmoid_twice"),
        (None, lambda z, y: BCE(z.sigmoid(), y), "sigmoid_twice"),
        (lambda z: z.softmax(1), BCE, "softmax_then_sigmoid"),
    ],
)
def test_many_labels(small_net, labelled, checked, messages, behind, loss, message) -> None:
    assert messages(checked("M4", small_net(behind=behind), (labelled[0], MANY), loss)) == [f"ERROR {message}"]


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("loss", [functional.mse_loss, functional.l1_loss])
def test_broadcast(small_net, labelled, checked, messages, loss) -> None:
    numbers = torch.linspace(-1, 1, 8)
    assert messages(checked("M4", small_net(1), (labelled[0], numbers), loss)) == ["ERROR broadcast"]
    assert messages(checked("M4", small_net(1), (labelled[0], numbers[:, None]), loss)) == []


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(reduction="sum"), lambda z, y: CE(z, y) * len(y)])
def test_sum(small_net, labelled, checked, messages, loss) -> None:
    """DX-051, SYS-191: the step grows with the batch."""
    assert messages(checked("M4", small_net(), labelled, loss)) == ["WARNING sum"]


def test_bounded_head(small_net, labelled, checked, messages) -> None:
    assert messages(checked("M4", small_net(behind=torch.relu), labelled, CE)) == ["WARNING bounded"]


@pytest.mark.parametrize(
    ("behind", "loss"),
    [
        (None, CE),
        (lambda z: z.log_softmax(1), functional.nll_loss),
        (lambda z: z.log_softmax(1), CE),  # a softmax of logarithms gives the same probabilities
        (None, nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 3.0]), label_smoothing=0.1)),
        (None, lambda z, y: functional.mse_loss(z.softmax(1), functional.one_hot(y, 3).float())),
        (None, lambda z, y: ((1 - z.softmax(1)[range(len(y)), y]) ** 2 * CE(z, y, reduction="none")).mean()),
    ],
)
def test_healthy(small_net, labelled, checked, behind, loss) -> None:
    assert checked("M4", small_net(behind=behind), labelled, loss).status == Status.PASSED


def test_healthy_probabilities(small_net, labelled, checked) -> None:
    net = small_net(behind=torch.sigmoid)
    assert checked("M4", net, (labelled[0], MANY), functional.binary_cross_entropy).status == Status.PASSED


def test_without_a_loss_it_cannot_tell(small_net, labelled, checked) -> None:
    result = checked("M4", small_net(), labelled)
    assert result.status == Status.NOT_CHECKABLE
    assert "pass loss=" in result.reason("en")


def test_message(small_net, labelled, checked) -> None:
    """DX-046: 1.46 is the floor for ten classes; ln(1 + 2/e) = 0.55 for three."""
    (finding,) = checked("M4", small_net(behind=lambda z: z.softmax(1)), labelled, CE).findings
    assert find_check("M4").pages["en"].message(finding) == (
        "The loss applies a softmax to what is a softmax already; with 3 classes it cannot fall below 0.55."
    )
