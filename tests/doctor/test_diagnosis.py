"""Every check ends as found, passed, not checkable or crashed, and no check takes another with it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from snellen.doctor import Check, Evidence, Finding, Level, NotCheckable, Page, Stage, Status, Text, diagnose
from snellen.doctor.evidence.gathering import SourceFailed


@dataclass(frozen=True)
class Heat:
    degrees: float


@dataclass(frozen=True)
class Boiling:
    is_boiling: bool


def too_hot(heat: Heat) -> Iterator[Finding]:
    if heat.degrees > 30:
        yield Finding(level=Level.ERROR, numbers={"degrees": heat.degrees})


def boils(boiling: Boiling) -> Iterator[Finding]:
    if boiling.is_boiling:
        yield Finding(level=Level.WARNING)


def breaks(heat: Heat) -> Iterator[Finding]:
    yield Finding(level=Level.INFO, measured=heat.degrees / 0)


def cannot_tell(heat: Heat, boiling: Boiling | None) -> Iterator[Finding]:
    if boiling is None:
        raise NotCheckable(Text(en="no pot", zh="没有锅"))
    yield Finding(level=Level.INFO, measured=heat.degrees)


PAGE = Page(title="hot", finds="hot", matters="hot", measured="hot", false_alarms="none", fix="cool", messages={})


def check(code: str, judge: object, caused_by: tuple[str, ...] = ()) -> Check:
    return Check(code=code, name=f"check-{code}", stage=Stage.DATA, judge=judge, pages={"en": PAGE, "zh": PAGE},
                 source="here", caused_by=caused_by)  # type: ignore[arg-type]  # fmt: skip


HOT, BOILS, BREAKS, CANNOT = (
    check("D1", too_hot),
    check("D2", boils, ("D1",)),
    check("D3", breaks),
    check("D4", cannot_tell),
)


def boiling(heat: Heat) -> Boiling:
    return Boiling(heat.degrees >= 100)


def test_each_ends_in_its_own_way() -> None:
    found = diagnose(Evidence([Heat(40.0)]), [HOT, BOILS, BREAKS, CANNOT])
    assert [result.status for result in found.results] == [
        Status.FOUND, Status.NOT_CHECKABLE, Status.CRASHED, Status.NOT_CHECKABLE,
    ]  # fmt: skip
    assert "ZeroDivisionError" in found.results[2].trace
    assert found.results[3].reason == Text(en="no pot", zh="没有锅")
    assert found.findings[0].code == "D1"


def test_a_source_measures_once_and_only_when_asked() -> None:
    asked = []

    def counted(heat: Heat) -> Boiling:
        asked.append(heat)
        return boiling(heat)

    evidence = Evidence([Heat(20.0)], [counted])
    assert diagnose(evidence, [HOT]).results[0].status == Status.PASSED
    assert not asked
    diagnose(evidence, [BOILS, BOILS, CANNOT])
    assert len(asked) == 1


def test_a_broken_source_crashes_those_who_ask_and_no_other() -> None:
    def broken(heat: Heat) -> Boiling:
        raise RuntimeError(f"no pot for {heat}")

    found = diagnose(Evidence([Heat(40.0)], [broken]), [HOT, BOILS])
    assert [result.status for result in found.results] == [Status.FOUND, Status.CRASHED]
    assert "no pot for" in found.results[1].trace
    with pytest.raises(SourceFailed):
        Evidence([Heat(40.0)], [broken]).get(Boiling)


def test_a_cause_explains_its_consequence() -> None:
    found = diagnose(Evidence([Heat(120.0)], [boiling]), [HOT, BOILS])
    assert [finding.code for finding in found.findings] == ["D1"]
    assert [finding.explained_by for finding in found.all_findings] == ["", "D1"]


@pytest.mark.parametrize(
    ("causes", "explained_by"),
    [
        ({"caused_by": ("D1",)}, "D1"),
        ({"caused_by": ("D1 default",)}, "D1"),
        ({"caused_by": ("D1 other",)}, ""),
        ({"message_caused_by": {"default": ("D1",)}}, "D1"),
        ({"message_caused_by": {"other": ("D1",)}}, ""),
    ],
)
def test_a_cause_may_be_one_message_and_explain_one(causes, explained_by) -> None:
    later = replace(check("D2", boils), **causes)
    found = diagnose(Evidence([Heat(120.0)], [boiling]), [HOT, later])
    assert [finding.explained_by for finding in found.all_findings] == ["", explained_by]


def test_gravest_first() -> None:
    found = diagnose(Evidence([Heat(120.0)], [boiling]), [check("D2", boils), HOT])
    assert [finding.code for finding in found.findings] == ["D1", "D2"]
    assert found.worst == Level.ERROR
