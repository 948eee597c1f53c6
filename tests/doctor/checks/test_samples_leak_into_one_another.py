"""Samples that change one another's output (M8; DX-026)."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


@pytest.mark.parametrize(
    "behind",
    [
        lambda z: z.softmax(0),
        lambda z: z.t().reshape(z.shape),
        lambda z: z.flip(0),
        lambda z: z.roll(1, 0),
        lambda z: z - z.mean(0),
        lambda z: (z - z.mean()) / z.std(),
    ],
)
def test_mixed_axes(small_net, labelled, checked, messages, behind) -> None:
    assert messages(checked("M8", small_net(behind=behind), labelled, CE)) == ["ERROR leak"]


def test_statistics_of_the_batch(small_net, labelled, checked, messages) -> None:
    """DX-026: the output shifts with what else is in the batch."""
    net = small_net()
    net.norm = nn.BatchNorm2d(8, track_running_stats=False)
    result = checked("M8", net, labelled, CE)
    assert messages(result) == ["WARNING batch_statistics"]
    assert [place.name for place in result.findings[0].places] == ["norm"]


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(8), nn.InstanceNorm2d(8), nn.GroupNorm(2, 8)])
def test_healthy(small_net, labelled, checked, norm) -> None:
    net = small_net()
    net.norm = norm
    assert checked("M8", net, labelled, CE).status == Status.PASSED


def test_half_precision_is_not_a_leak(small_net, labelled, checked) -> None:
    net = small_net().to(torch.bfloat16)
    loss = lambda z, y: CE(z.float(), y)  # noqa: E731
    assert checked("M8", net, (labelled[0].bfloat16(), labelled[1]), loss).status == Status.PASSED


def test_one_sample_cannot_be_told(small_net, labelled, checked) -> None:
    net = small_net()
    result = checked("M8", net, (labelled[0][:1], labelled[1][:1]), CE)
    assert result.status == Status.NOT_CHECKABLE


def test_random_output_cannot_be_told(small_net, labelled, checked) -> None:
    net = small_net(behind=lambda z: functional.dropout(z, 0.5))
    assert checked("M8", net, labelled, CE).status == Status.NOT_CHECKABLE


def test_message(small_net, labelled, checked) -> None:
    (finding,) = checked("M8", small_net(behind=lambda z: z.softmax(0)), labelled, CE).findings
    assert find_check("M8").pages["en"].message(finding) == (
        f"Blanking some images changes the outputs of the others by {finding.numbers['change']} of the largest output."
    )
