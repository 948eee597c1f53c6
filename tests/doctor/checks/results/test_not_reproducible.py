"""R14: runs that cannot be done again."""

from pathlib import Path

import pytest
from tests.doctor.results import run_of, sure

from snellen.doctor import Evidence, Level, Status, diagnose, find_check
from snellen.doctor.evidence.results.evaluated import RunFiles
from snellen.structures import ClassScores

INDEX = run_of(ClassScores, {"test": [sure(0, 0)] * 3}).index
RECORD = {
    "model": "resnet18",
    "data": "photos",
    "fingerprint": INDEX.fingerprint(),
    "settings": {"seed": 0},
    "environment": {"torch": "2", "command": "snellen train photos"},
}


def checked(record):
    files = RunFiles(folder=Path(), index=INDEX, kind=ClassScores, results={}, record=record)
    return diagnose(Evidence([files]), [find_check("R14")]).results[0]


def test_a_whole_record_is_fine():
    assert checked(RECORD).status == Status.PASSED


def test_data_that_have_changed():
    (finding,) = checked({**RECORD, "fingerprint": "0123"}).findings
    assert (finding.level, finding.message) == (Level.WARNING, "changed")


@pytest.mark.parametrize(
    ("record", "missing"),
    [({**RECORD, "settings": {}}, "settings.seed"), ({**RECORD, "environment": {"torch": "2"}}, "environment.command")],
)
def test_what_the_record_lacks(record, missing):
    (finding,) = checked(record).findings
    assert (finding.level, finding.numbers) == (Level.WARNING, {"missing": missing})


def test_without_a_record_nothing_is_known():
    assert checked({}).status == Status.NOT_CHECKABLE
