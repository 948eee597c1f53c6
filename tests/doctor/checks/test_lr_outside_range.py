"""M36 (DX-039, DX-040)."""

import pytest
import torch
from torch.nn import functional

import snellen
from snellen.doctor import Evidence, Status, diagnose, find_check
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.range_test import RangeTest, Verdict


def range_of(verdict: Verdict = "found") -> RangeTest:
    found = verdict == "found"
    return RangeTest(rates=(1e-7, 10.0), losses=(2.0, 2.0), smoothed=(2.0, 2.0), ended="diverged", verdict=verdict,
                     suggestion=0.01 if found else None, low=0.003 if found else None, high=0.03 if found else None,
                     steepest=0.005 if found else None)  # fmt: skip


@pytest.mark.parametrize(("rate", "expected"), [
    (0.01, []), (0.1, []), (0.35, ["above"]), (2e-4, []), (9e-5, ["below"]),
])  # fmt: skip
def test_planned_rates(rate: float, expected: list[str]) -> None:
    """SYS-187."""
    found = diagnose(Evidence([range_of(), Setup(lr=rate)]), [find_check("M36")]).findings
    assert [finding.message for finding in found] == expected


def test_says_the_range() -> None:
    (finding,) = diagnose(Evidence([range_of(), Setup(lr=1.0)]), [find_check("M36")]).findings
    assert find_check("M36").pages["en"].message(finding) == (
        "The planned rate 1 is far above the range that works, 0.003 to 0.03; 0.01 is suggested."
    )
    assert finding.treatment is not None
    assert finding.treatment.settings == {"lr": 0.01}


@pytest.mark.parametrize("given", [
    [range_of()],
    [range_of("flat"), Setup(lr=1.0)],
    [range_of("still falling"), Setup(lr=1.0)],
    [Setup(lr=1.0)],
])  # fmt: skip
def test_not_checkable(given: list[object]) -> None:
    (result,) = diagnose(Evidence(given), [find_check("M36")]).results
    assert result.status == Status.NOT_CHECKABLE


def test_runs_only_when_asked(small_net, labelled, checked) -> None:
    model = small_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-7, momentum=0.9)
    result = checked("M36", model, labelled, functional.cross_entropy, optimizer)
    assert result.status == Status.NOT_CHECKABLE
    assert result.reason is not None
    assert "deep=True" in result.reason.en
    deep = snellen.examine(model, labelled, functional.cross_entropy, optimizer, deep=True, loader=[labelled],
                           select=("M36",))  # fmt: skip
    assert [finding.message for finding in deep.findings] == ["below"]
