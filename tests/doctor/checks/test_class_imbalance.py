"""D13 (DX-001, DX-002)."""

from pathlib import Path

import numpy as np
import pytest

from snellen.data import ClassTable, DatasetIndex
from snellen.data.sharing import Strings
from snellen.doctor import Diagnosis, Evidence, Level, Status, diagnose, find_check


def classified(*counts: int) -> DatasetIndex:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    return DatasetIndex(
        root=Path("photos"),
        format="folders",
        classes=tuple("abcdef"[: len(counts)]),
        paths=Strings.pack([f"{row}.jpg" for row in range(len(labels))]),
        annotations=ClassTable(labels=labels),
        sizes=np.full((len(labels), 2), 32, np.int32),
        splits=np.full(len(labels), -1, np.int16),
    )


def diagnosis(*counts: int) -> Diagnosis:
    return diagnose(Evidence([classified(*counts)]), [find_check("D13")])


@pytest.mark.parametrize(("counts", "level"), [((300, 6), Level.WARNING), ((60, 6), Level.INFO), ((59, 6), None)])
def test_level_follows_the_ratio(counts: tuple[int, ...], level: Level | None) -> None:
    assert diagnosis(*counts).worst == level


def test_says_which_classes() -> None:
    (finding,) = diagnosis(300, 6).findings
    page = find_check("D13").pages["en"]
    assert page.message(finding) == "a has 300 examples and b 6: 50.0 times as many."
    assert finding.treatment is not None
    assert finding.treatment.settings == {"sampler": "repeat_factor"}


def test_one_class_is_not_checkable() -> None:
    (result,) = diagnosis(300, 0).results
    assert result.status == Status.NOT_CHECKABLE
    assert result.reason is not None
