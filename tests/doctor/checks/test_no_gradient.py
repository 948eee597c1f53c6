"""Parameters that no gradient reaches (M6)."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


def features_through(net, change):
    """Put something between the features and the head."""
    whole = type(net).features
    net.features = lambda images: change(whole(net, images))
    return net


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.detach(),
        lambda x: torch.as_tensor(x.detach().numpy()),
        lambda x: torch.tensor(x.tolist()),
        lambda x: x.data,
    ],
)
def test_cut_graph(small_net, labelled, checked, messages, change) -> None:
    result = checked("M6", features_through(small_net(), change), labelled, CE)
    assert messages(result) == ["ERROR cut"]
    assert {place.name for place in result.findings[0].places} >= {"conv.weight", "norm.weight"}


@pytest.mark.parametrize("behind", [lambda z: z.detach(), lambda z: z.argmax(1, keepdim=True).float().repeat(1, 3)])
def test_no_graph(small_net, labelled, checked, messages, behind) -> None:
    assert messages(checked("M6", small_net(behind=behind), labelled, CE)) == ["ERROR no_graph"]


def test_all_zero(small_net, labelled, checked, messages) -> None:
    assert messages(checked("M6", small_net(behind=lambda z: z * 0), labelled, CE)) == ["ERROR all_zero"]


def test_dead_units(small_net, labelled, checked, messages) -> None:
    """ERR-021: below zero a ReLU is flat."""
    net = small_net()
    nn.init.constant_(net.norm.bias, -100.0)
    assert messages(checked("M6", net, labelled, CE)) == ["WARNING zero"]


def test_what_starts_from_zero_is_alive(small_net, labelled, checked) -> None:
    """As the last norm of a residual block does in timm, and the heads of some of its models."""
    net = small_net()
    nn.init.zeros_(net.norm.weight)
    nn.init.constant_(net.norm.bias, 0.1)
    nn.init.zeros_(net.head.weight)
    assert checked("M6", net, labelled, CE).status == Status.PASSED


def test_unused_is_only_told(small_net, labelled, checked, messages) -> None:
    net = small_net()
    net.spare = nn.Linear(4, 4)
    assert messages(checked("M6", net, labelled, CE)) == ["INFO unused"]


@pytest.mark.parametrize(("lr", "expected"), [(1e-30, ["WARNING unchanged"]), (0.0, ["INFO rate_is_zero"]), (0.1, [])])
def test_step(small_net, labelled, checked, messages, lr, expected) -> None:
    net = small_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    nn.init.ones_(net.head.bias)  # a change of 1e-30 is lost in it
    result = checked("M6", net, labelled, CE, optimizer)
    assert messages(result) == expected


def test_without_a_loss_it_cannot_tell(small_net, labelled, checked) -> None:
    assert checked("M6", small_net(), labelled).status == Status.NOT_CHECKABLE


def test_message(small_net, labelled, checked) -> None:
    (finding,) = checked("M6", features_through(small_net(), torch.detach), labelled, CE).findings
    assert find_check("M6").pages["en"].message(finding) == (
        "4 parameters, the first of them conv.weight, get no gradient though the loss depends on them."
    )
