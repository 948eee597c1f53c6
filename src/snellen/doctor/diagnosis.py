"""Running checks over evidence: every check ends as found, passed, not checkable or crashed."""

import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from snellen.doctor.check import Check, NotCheckable
from snellen.doctor.evidence.gathering import Evidence, SourceFailed
from snellen.doctor.finding import Finding, Level
from snellen.doctor.words import Text

__all__ = ["CheckResult", "Diagnosis", "Status", "diagnose"]


class Status(StrEnum):
    """How a check ended."""

    FOUND = "found"
    PASSED = "passed"
    NOT_CHECKABLE = "not checkable"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What became of one check.

    Attributes:
        check: The check.
        status: How it ended.
        findings: What it found; also the consequences of other findings.
        reason: Why it was not checkable.
        trace: What broke, if it crashed.
        seconds: That it took, with the evidence that was measured for it.
    """

    check: Check
    status: Status
    findings: tuple[Finding, ...] = ()
    reason: Text | None = None
    trace: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All checks that were asked for, in the order of the catalogue.

    Attributes:
        results: One for each check.
        accepted: Findings that a baseline had accepted before.
    """

    results: tuple[CheckResult, ...]
    accepted: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found and is no consequence of something else: the gravest first, then by cause."""
        roots = [finding for finding in self.all_findings if not finding.explained_by]
        return tuple(sorted(roots, key=lambda finding: -finding.level))

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Everything that was found, in the order of the catalogue."""
        return tuple(finding for result in self.results for finding in result.findings)

    @property
    def worst(self) -> Level | None:
        """The gravest level found, or None."""
        return max((finding.level for finding in self.findings), default=None)

    def with_status(self, status: Status) -> tuple[CheckResult, ...]:
        """Return the checks that ended so."""
        return tuple(result for result in self.results if result.status == status)

    def check_of(self, finding: Finding) -> Check:
        """Return the check that found it."""
        return next(result.check for result in self.results if result.check.code == finding.code)


def diagnose(evidence: Evidence, checks: Sequence[Check]) -> Diagnosis:
    """Run checks over evidence, each in isolation."""
    return Diagnosis(results=_with_causes([_outcome(check, evidence) for check in checks]))


def _outcome(check: Check, evidence: Evidence) -> CheckResult:
    began = time.perf_counter()
    result = _judged(check, evidence)
    return replace(result, seconds=time.perf_counter() - began)


def _judged(check: Check, evidence: Evidence) -> CheckResult:
    try:
        found = tuple(replace(finding, code=check.code) for finding in check.judge(**evidence.arguments(check.judge)))
    except NotCheckable as outcome:
        return CheckResult(check=check, status=Status.NOT_CHECKABLE, reason=outcome.reason)
    except SourceFailed as failed:
        return CheckResult(check=check, status=Status.CRASHED, trace=_trace(failed.__cause__ or failed))
    except Exception as error:  # noqa: BLE001 - told as the outcome of this check; the others go on
        return CheckResult(check=check, status=Status.CRASHED, trace=_trace(error))
    return CheckResult(check=check, status=Status.FOUND if found else Status.PASSED, findings=found)


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _with_causes(results: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """Mark findings that follow from another that is at least as grave."""
    rows = list(results)
    gravest: dict[str, Level] = {}  # of what a check says, and of each of its messages
    for finding in (finding for row in rows for finding in row.findings):
        for name in (finding.code, f"{finding.code} {finding.message}"):
            gravest[name] = max(finding.level, gravest.get(name, Level.INFO))
    marked = []
    for row in rows:
        findings = [replace(finding, explained_by=_cause(row.check, finding, gravest)) for finding in row.findings]
        marked.append(replace(row, findings=tuple(findings)))
    return tuple(marked)


def _cause(check: Check, finding: Finding, gravest: Mapping[str, Level]) -> str:
    """Return the code of the first cause that is at least as grave, or an empty text."""
    causes = (*check.caused_by, *check.message_caused_by.get(finding.message, ()))
    found = (name for name in causes if name in gravest and gravest[name] >= finding.level)
    return next(found, "").partition(" ")[0]
