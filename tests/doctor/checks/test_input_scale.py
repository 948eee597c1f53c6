"""Images in another scale than the model wants (M3; DX-028)."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy
MEAN, STD = (torch.tensor(part)[:, None, None] for part in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
BYTES = torch.randint(256, (8, 3, 12, 12), generator=torch.Generator().manual_seed(1)).float()
UNIT = BYTES / 255
NORMAL = (UNIT - MEAN) / STD


def declared(net, *, trained=True):
    """Write into a model what timm writes."""
    net.pretrained_cfg = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    if trained:
        nn.init.normal_(net.norm.bias)
    return net


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (BYTES, ["WARNING bytes"]),
        ((NORMAL - MEAN) / STD, ["ERROR twice"]),
        ((UNIT - MEAN.flip(0)) / STD.flip(0), ["WARNING turned"]),
        (NORMAL * 4 - 20, ["WARNING far_from_zero"]),
        (NORMAL / 0, ["ERROR not_finite"]),
        (UNIT, []),
        (NORMAL, []),
        ((UNIT - 0.5) / 0.5, []),
        (torch.randn(8, 3, 12, 12), []),
    ],
)
def test_range(small_net, labelled, checked, messages, images, expected) -> None:
    """DX-028: inputs that are not standardised."""
    assert messages(checked("M3", small_net(), (images, labelled[1]), CE)) == expected


@pytest.mark.parametrize(
    ("images", "expected"), [(UNIT, ["ERROR other_than_declared"]), (BYTES, ["ERROR bytes"]), (NORMAL, [])]
)
def test_against_the_weights(small_net, labelled, checked, messages, images, expected) -> None:
    assert messages(checked("M3", declared(small_net()), (images, labelled[1]), CE)) == expected


def test_untrained_weights_do_not_care(small_net, labelled, checked) -> None:
    net = declared(small_net(), trained=False)
    assert checked("M3", net, (UNIT, labelled[1]), CE).status == Status.PASSED


def test_channels_last(labelled, checked, messages) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(432, 3))
    assert messages(checked("M3", net, (labelled[0].permute(0, 2, 3, 1), labelled[1]), CE)) == ["ERROR channels_last"]


def test_a_model_that_scales_by_itself(small_net, labelled, checked) -> None:
    class Scaling(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small_net()

        def forward(self, images):
            return self.net(images / 255)

    assert checked("M3", Scaling(), (BYTES, labelled[1]), CE).status == Status.PASSED


def test_message(small_net, labelled, checked) -> None:
    (finding,) = checked("M3", small_net(), (BYTES, labelled[1]), CE).findings
    assert find_check("M3").pages["en"].message(finding) == (
        "The first layer, conv, reads values from 0.0 to 255.0: the images are not scaled."
    )
