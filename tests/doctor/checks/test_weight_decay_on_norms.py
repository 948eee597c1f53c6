"""Weight decay on norms and biases (M29, DX-057)."""

import torch
from torch.nn import functional

from snellen.doctor import Status, find_check

CE = functional.cross_entropy


def test_all_in_one_group(small_net, labelled, checked, messages) -> None:
    """SYS-213."""
    model = small_net()
    result = checked("M29", model, labelled, CE, torch.optim.AdamW(model.parameters(), weight_decay=0.05))
    assert messages(result) == ["INFO default"]
    assert find_check("M29").pages["en"].message(result.findings[0]) == (
        "Weight decay 0.05 acts on 2 scales and shifts of norms and 2 biases, such as norm.weight."
    )


def test_only_biases(small_net, labelled, checked, messages) -> None:
    model = small_net()
    model.norm.requires_grad_(False)
    result = checked("M29", model, labelled, CE, torch.optim.AdamW(model.parameters(), weight_decay=0.05))
    assert messages(result) == ["INFO biases"]


def test_two_groups_or_no_decay(small_net, labelled, checked) -> None:
    model = small_net()
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    for optimizer in (torch.optim.AdamW(groups), torch.optim.SGD(model.parameters(), lr=0.1)):
        assert checked("M29", model, labelled, CE, optimizer).status == Status.PASSED


def test_no_optimizer(small_net, labelled, checked) -> None:
    assert checked("M29", small_net(), labelled, CE).status == Status.NOT_CHECKABLE
