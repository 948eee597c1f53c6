"""Outputs that do not fit the classes (M1; DX-012)."""

import pytest
import torch
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


@pytest.mark.parametrize(
    ("outputs", "shift", "more", "expected"),
    [
        (3, 1, {}, ["ERROR labels_from_one"]),
        (3, 4, {}, ["ERROR label_out_of_range"]),
        (3, -1, {}, ["ERROR label_out_of_range"]),
        (3, 0, {"num_classes": 5}, ["ERROR wrong_number"]),
        (4, 0, {"num_classes": 3}, ["WARNING wrong_number"]),
        (1000, 0, {}, ["WARNING far_more_outputs"]),
        (1000, 0, {"classes": ("a", "b", "c")}, ["ERROR wrong_number"]),
        (3, 0, {"num_classes": 3}, []),
        (5, 0, {}, []),
    ],
)
def test_width(small_net, labelled, checked, messages, outputs, shift, more, expected) -> None:
    """DX-012, SYS-238, ERR-130: labels 1..K instead of 0..K-1, and other numbers that do not fit."""
    batch = labelled[0], labelled[1] + shift
    assert messages(checked("M1", small_net(outputs), batch, CE, **more)) == expected


def test_ignored_labels_are_fine(small_net, labelled, checked) -> None:
    labels = labelled[1].clone()
    labels[0] = -100
    assert checked("M1", small_net(), (labelled[0], labels), CE).status == Status.PASSED


def test_one_output_for_two_classes(small_net, labelled, checked) -> None:
    batch = labelled[0], (labelled[1] > 0).float()[:, None]
    loss = functional.binary_cross_entropy_with_logits
    assert checked("M1", small_net(1), batch, loss, num_classes=2).status == Status.PASSED


def test_background_of_a_segmenter_is_fine(checked) -> None:
    torch.manual_seed(0)
    net = torch.nn.Conv2d(3, 4, 3, padding=1)
    batch = torch.rand(2, 3, 8, 8), torch.randint(3, (2, 8, 8))
    assert checked("M1", net, batch, CE, num_classes=3).status == Status.PASSED


def test_forward_that_fails(small_net, labelled, checked, messages) -> None:
    result = checked("M1", small_net(), (labelled[0][:, :1], labelled[1]), CE)
    assert messages(result) == ["ERROR forward_fails"]
    assert "RuntimeError" in str(result.findings[0].numbers["error"])


def test_not_finite(small_net, labelled, checked, messages) -> None:
    assert messages(checked("M1", small_net(behind=lambda z: z / 0), labelled, CE)) == ["ERROR not_finite"]


def test_message(small_net, labelled, checked) -> None:
    (finding,) = checked("M1", small_net(), (labelled[0], labelled[1] + 1), CE).findings
    assert find_check("M1").pages["en"].message(finding) == (
        "Label 3 has no output: 3 outputs are for labels 0 to 2. It looks as if labels were counted from 1."
    )
