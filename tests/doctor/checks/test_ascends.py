"""Training that goes uphill (M20)."""

import pytest
import torch
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda z, y: -CE(z, y), "negated"),
        (lambda z, y: -CE(z, y, reduction="sum"), "negated"),
        (lambda z, y: -CE(z, y, label_smoothing=0.1), "away"),
        (lambda z, y: z.softmax(1)[range(len(y)), y].mean(), "away"),
    ],
)
def test_wrong_sign(small_net, labelled, checked, messages, loss, message) -> None:
    assert messages(checked("M20", small_net(), labelled, loss)) == [f"ERROR {message}"]


def test_optimizer_that_maximises(small_net, labelled, checked, messages) -> None:
    net = small_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, maximize=True)
    assert messages(checked("M20", net, labelled, CE, optimizer)) == ["ERROR optimizer_ascends"]


def test_own_step_that_ascends(small_net, labelled, checked, messages) -> None:
    net = small_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def step(batch, sign=-1.0):
        optimizer.zero_grad()
        (sign * CE(net(batch[0]), batch[1])).backward()
        optimizer.step()

    assert messages(checked("M20", net, labelled, CE, step=step)) == ["ERROR step_ascends"]
    good = checked("M20", net, labelled, CE, step=lambda batch: step(batch, 1.0))
    assert good.status == Status.PASSED


@pytest.mark.parametrize(
    "loss",
    [
        CE,
        lambda z, y: CE(z, y, label_smoothing=0.1),
        lambda z, y: functional.mse_loss(z, torch.eye(3)[y]),
        functional.multi_margin_loss,
        lambda z, y: 1 - z.softmax(1)[range(len(y)), y].mean(),
    ],
)
def test_healthy(small_net, labelled, checked, loss) -> None:
    net = small_net()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.1)
    assert checked("M20", net, labelled, loss, optimizer).status == Status.PASSED


def test_without_a_loss_it_cannot_tell(small_net, labelled, checked) -> None:
    assert checked("M20", small_net(), labelled).status == Status.NOT_CHECKABLE


def test_message(small_net, labelled, checked) -> None:
    (finding,) = checked("M20", small_net(), labelled, lambda z, y: -CE(z, y)).findings
    assert find_check("M20").pages["en"].message(finding) == (
        f"The loss is the negative of cross_entropy and starts at {finding.numbers['loss']}: minimising it makes the "
        "answers worse."
    )
