"""M9 (DX-039, DX-040; DeepCrime's HLR)."""

import pytest
import torch
from torch.nn import functional

from snellen.doctor import Status, find_check


@pytest.mark.parametrize(("rate", "expected"), [
    (0.05, []), (1e-3, []), (1e3, ["WARNING"]), (1e5, ["WARNING"]),
    (1e-7, ["WARNING short"]), (1e-9, ["WARNING short"]),
])  # fmt: skip
def test_rates(small_net, labelled, checked, messages, rate: float, expected: list[str]) -> None:
    """SYS-187."""
    model = small_net()
    found = messages(checked("M9", model, labelled, functional.cross_entropy,
                             torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)))  # fmt: skip
    assert [told[: len(wanted)] for told, wanted in zip(found, expected, strict=True)] == expected


def test_adamw_at_usual_rates(small_net, labelled, checked, messages) -> None:
    for rate in (1e-4, 1e-3, 3e-3):
        model = small_net()
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
        assert messages(checked("M9", model, labelled, functional.cross_entropy, optimizer)) == []


def test_a_warm_up_is_judged_at_its_peak(small_net, labelled, checked, messages) -> None:
    model = small_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1e-6, total_iters=100)
    assert optimizer.param_groups[0]["lr"] < 1e-6
    assert messages(checked("M9", model, labelled, functional.cross_entropy, optimizer)) == []
    assert optimizer.param_groups[0]["lr"] < 1e-6


def test_says_what_the_steps_did(small_net, labelled, checked) -> None:
    model = small_net()
    result = checked("M9", model, labelled, functional.cross_entropy, torch.optim.SGD(model.parameters(), lr=1e-9))
    (finding,) = result.findings
    text = find_check("M9").pages["en"].message(finding)
    assert text.startswith("A step at a rate of 1e-09 changes weight matrices by ")
    assert text.endswith(" of their size: nothing is learned.")
    assert finding.treatment is not None
    assert finding.treatment.settings == {"lr": 1e-7}


def test_needs_an_optimizer_with_plain_steps(small_net, labelled, checked) -> None:
    model = small_net()
    assert checked("M9", model, labelled, functional.cross_entropy).status == Status.NOT_CHECKABLE
    lbfgs = torch.optim.LBFGS(model.parameters())
    assert checked("M9", model, labelled, functional.cross_entropy, lbfgs).status == Status.NOT_CHECKABLE
