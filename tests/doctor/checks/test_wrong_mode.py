"""Training and evaluation mode mixed up (M7; DX-055)."""

import torch
from torch import nn
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


def loop(net):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def step(batch):
        optimizer.zero_grad()
        CE(net(batch[0]), batch[1]).backward()
        optimizer.step()

    return step


def test_step_in_evaluation_mode(small_net, labelled, checked, messages) -> None:
    """DX-055, SYS-361: norms left in the wrong mode."""
    net = small_net().eval()
    assert messages(checked("M7", net, labelled, CE, step=loop(net))) == ["ERROR evaluation_in_training"]
    nn.init.normal_(net.norm.bias)  # trained weights may be tuned so on purpose
    assert messages(checked("M7", net, labelled, CE, step=loop(net))) == ["WARNING evaluation_in_training"]


def test_validation_in_training_mode(small_net, labelled, checked, messages) -> None:
    net = small_net()
    result = checked("M7", net, labelled, CE, validate=lambda batch: net(batch[0]))
    assert messages(result) == ["ERROR training_in_validation"]
    assert find_check("M7").pages["en"].message(result.findings[0]) == (
        "The validation runs 2 norms and dropouts in training mode, the first of them norm."
    )


def test_random_in_evaluation(small_net, labelled, checked, messages) -> None:
    net = small_net(behind=lambda z: functional.dropout(z, 0.5))
    assert messages(checked("M7", net, labelled, CE)) == ["WARNING random_in_evaluation"]


def test_healthy(small_net, labelled, checked) -> None:
    net = small_net()

    def validate(batch):
        net.eval()
        net(batch[0])

    assert checked("M7", net, labelled, CE, step=loop(net), validate=validate).status == Status.PASSED
    net.norm.eval()  # held so on purpose, as detectors do
    assert checked("M7", net, labelled, CE, step=loop(net)).status == Status.PASSED
    assert net.training
    assert not net.norm.training


def test_without_the_loop_it_cannot_tell(small_net, labelled, checked) -> None:
    result = checked("M7", small_net(), labelled, CE)
    assert result.status == Status.NOT_CHECKABLE
    assert "step=" in result.reason("en")
