"""An output that does not depend on the images (M15)."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


@pytest.mark.parametrize("change", [lambda x: x * 0, torch.zeros_like, lambda x: x.softmax(1).sum(1, keepdim=True)])
def test_blind(small_net, labelled, checked, change) -> None:
    net = small_net()
    whole = type(net).features
    net.features = lambda images: change(whole(net, images)).expand(-1, 8).round()
    (finding,) = checked("M15", net, labelled, CE).findings
    assert find_check("M15").pages["en"].message(finding) == (
        "Blanking the images does not change the output at all, not even after some steps of training (8 samples)."
    )


def test_a_head_that_starts_from_zero_is_fine(small_net, labelled, checked) -> None:
    net = small_net()
    nn.init.zeros_(net.head.weight)
    assert checked("M15", net, labelled, CE).status == Status.PASSED
    assert checked("M15", net, labelled).status == Status.NOT_CHECKABLE


def test_equal_images(small_net, labelled, checked, messages) -> None:
    batch = labelled[0][:1].expand(8, -1, -1, -1), labelled[1]
    assert messages(checked("M15", small_net(), batch, CE)) == ["WARNING images_equal"]


def test_healthy(small_net, labelled, checked) -> None:
    assert checked("M15", small_net(), labelled, CE).status == Status.PASSED


def test_blank_images_cannot_be_told(small_net, labelled, checked) -> None:
    images = torch.zeros(2, 3, 12, 12)
    images[0] = 1.0
    result = checked("M15", small_net(), (images, labelled[1][:2]), CE)
    assert result.status == Status.NOT_CHECKABLE
