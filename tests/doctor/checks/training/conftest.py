"""Running one check of trainings on a trace."""

from collections.abc import Callable

import pytest

from snellen.doctor import CheckResult, Evidence, diagnose, find_check
from snellen.doctor.evidence.catalog import TRAINING_SOURCES


@pytest.fixture
def judged() -> Callable[..., CheckResult]:
    """Run one check on a trace and whatever else is given."""

    def run(code: str, *given: object) -> CheckResult:
        (result,) = diagnose(Evidence(given, TRAINING_SOURCES), [find_check(code)]).results
        assert not result.trace, result.trace
        return result

    return run


@pytest.fixture
def found(judged: Callable[..., CheckResult]) -> Callable[..., list[str]]:
    """Return the levels and messages of what one check finds."""

    def run(code: str, *given: object) -> list[str]:
        return [f"{finding.level.name} {finding.message}" for finding in judged(code, *given).findings]

    return run


@pytest.fixture
def said(judged: Callable[..., CheckResult]) -> Callable[..., str]:
    """Return what the first finding of a check says in English."""

    def run(code: str, *given: object) -> str:
        result = judged(code, *given)
        return result.check.pages["en"].message(result.findings[0])

    return run
