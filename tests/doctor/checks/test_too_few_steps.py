"""M35 (DX-038; DeepCrime's HNE)."""

import pytest

from snellen.doctor import Evidence, Status, diagnose, find_check
from snellen.doctor.evidence.setup import Setup


@pytest.mark.parametrize(("steps", "epochs", "pretrained", "expected"), [
    (1000, 20, False, []),
    (199, 20, False, ["WARNING steps"]),
    (500, 3, False, ["INFO epochs"]),
    (500, 1, False, ["WARNING epochs"]),
    (8000, 1, False, []),
    (60, 1, True, []),
    (49, 5, True, ["WARNING tuned"]),
])  # fmt: skip
def test_plans(steps: int, epochs: int, pretrained: bool, expected: list[str]) -> None:
    """SYS-338."""
    found = diagnose(Evidence([Setup(steps=steps, epochs=epochs, pretrained=pretrained)]), [find_check("M35")]).findings
    assert [f"{finding.level.name} {finding.message}" for finding in found] == expected


def test_says_how_many_epochs_are_enough() -> None:
    (finding,) = diagnose(Evidence([Setup(steps=100, epochs=10, pretrained=False)]), [find_check("M35")]).findings
    page = find_check("M35").pages["en"]
    assert page.message(finding) == ("100 steps are planned from random weights; 200 is the least that shows anything.")
    assert page.fix_of(finding) == "Train for 20 epochs or more (--epochs 20), or with smaller batches."
    assert finding.treatment is not None
    assert finding.treatment.settings == {"epochs": 20}


@pytest.mark.parametrize("given", [[], [Setup()], [Setup(steps=10, epochs=1)]])
def test_not_checkable_without_a_plan(given: list[object]) -> None:
    (result,) = diagnose(Evidence(given), [find_check("M35")]).results
    assert result.status == Status.NOT_CHECKABLE
