"""Gradients of one step that go into the next (M16)."""

import pytest
import torch
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


def loop(net, clears: str, lr: float = 0.1):
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)

    def step(batch):
        if clears == "before":
            optimizer.zero_grad()
        CE(net(batch[0]), batch[1]).backward()
        optimizer.step()
        if clears == "after":
            net.zero_grad()

    return step


def test_never_cleared(small_net, labelled, checked) -> None:
    net = small_net()
    (finding,) = checked("M16", net, labelled, CE, step=loop(net, "never")).findings
    assert find_check("M16").pages["en"].message(finding) == (
        f"The gradients of one step go into the next: it changes by {finding.numbers['share']} of its length when "
        "they are cleared."
    )
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("clears", ["before", "after"])
def test_healthy(small_net, labelled, checked, clears) -> None:
    net = small_net()
    assert checked("M16", net, labelled, CE, step=loop(net, clears)).status == Status.PASSED


def test_what_cannot_be_told(small_net, labelled, checked) -> None:
    net = small_net()
    assert checked("M16", net, labelled, CE).status == Status.NOT_CHECKABLE
    assert checked("M16", net, labelled, CE, step=loop(net, "before", lr=0.0)).status == Status.NOT_CHECKABLE
