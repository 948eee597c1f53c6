"""Parameters that should learn and cannot (M5)."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


def sgd(*parameters):
    return torch.optim.SGD([p for group in parameters for p in group], lr=0.1)


def trained(net):
    nn.init.normal_(net.norm.bias)
    return net


def test_all_and_none(small_net, labelled, checked, messages) -> None:
    net = small_net()
    assert checked("M5", net, labelled, CE, sgd(net.parameters())).status == Status.PASSED
    assert messages(checked("M5", net, labelled, CE, sgd(small_net().parameters()))) == ["ERROR all_missing"]


def test_head_that_was_replaced_afterwards(small_net, labelled, checked, messages) -> None:
    net = trained(small_net())
    optimizer = sgd(net.parameters())
    net.head = nn.Linear(8, 3)
    assert messages(checked("M5", net, labelled, CE, optimizer)) == ["ERROR head_missing"]


def test_head_alone_is_an_error_only_for_untrained_weights(small_net, labelled, checked, messages) -> None:
    net = small_net()
    assert messages(checked("M5", net, labelled, CE, sgd(net.head.parameters()))) == ["ERROR missing"]
    net = trained(net)
    assert messages(checked("M5", net, labelled, CE, sgd(net.head.parameters()))) == ["WARNING backbone_missing"]


@pytest.mark.parametrize(("is_trained", "expected"), [(False, ["ERROR frozen_untrained"]), (True, [])])
def test_frozen_backbone(small_net, labelled, checked, messages, is_trained, expected) -> None:
    net = trained(small_net()) if is_trained else small_net()
    net.conv.requires_grad_(False)
    result = checked("M5", net, labelled, CE, sgd(p for p in net.parameters() if p.requires_grad))
    assert messages(result) == expected


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
def test_twice(small_net, labelled, checked, messages) -> None:
    net = small_net()
    optimizer = sgd(net.parameters(), net.head.parameters())
    assert messages(checked("M5", net, labelled, CE, optimizer)) == ["ERROR repeated"]


def test_nothing_learns(small_net, labelled, checked, messages) -> None:
    net = small_net().requires_grad_(False)
    assert messages(checked("M5", net, labelled, CE)) == ["ERROR none_trainable"]


def test_layers_in_a_list(small_net, labelled, checked, messages) -> None:
    net = small_net()
    net.heads = [nn.Linear(3, 3)]
    net.behind = lambda logits: net.heads[0](logits) * 1.0
    assert messages(checked("M5", net, labelled, CE, sgd(net.parameters()))) == ["ERROR unregistered"]
    assert net.heads[0].weight.grad is None


def test_a_teacher_in_a_list_is_fine(small_net, labelled, checked) -> None:
    net = small_net()
    net.teacher = [nn.Linear(3, 3)]
    net.behind = lambda logits: logits + net.teacher[0](logits).detach()
    assert checked("M5", net, labelled, CE, sgd(net.parameters())).status == Status.PASSED


def test_parameters_of_the_loss_belong_to_it(small_net, labelled, checked) -> None:
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, logits, targets):
            return CE(logits * self.scale, targets)

    net, loss = small_net(), Scaled()
    assert checked("M5", net, labelled, loss, sgd(net.parameters(), loss.parameters())).status == Status.PASSED


def test_without_an_optimizer_it_cannot_tell(small_net, labelled, checked) -> None:
    assert checked("M5", small_net(), labelled, CE).status == Status.NOT_CHECKABLE


def test_message(small_net, labelled, checked) -> None:
    net = small_net()
    (finding,) = checked("M5", net, labelled, CE, sgd(net.head.parameters())).findings
    assert [place.name for place in finding.places] == ["conv.weight", "conv.bias", "norm.weight", "norm.bias"]
    assert find_check("M5").pages["en"].message(finding) == (
        "4 trainable parameters are not in the optimizer; the first is conv.weight."
    )
