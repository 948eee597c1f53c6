"""A diagnosis as SARIF 2.1.0, the format of static analysers that code hosts read.

Source:
    OASIS, https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; what GitHub asks of it besides:
    https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from snellen.doctor import CheckResult, Diagnosis, Finding, Language, Level, Place, Status, fingerprint
from snellen.report.check_pages import check_page
from snellen.report.diagnosis_text import place_text
from snellen.report.phrases import measured_text, outcome

__all__ = ["diagnosis_sarif"]

_LEVELS: Mapping[Level, str] = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "note"}
_PRECISION: Mapping[Level, str] = {Level.ERROR: "very-high", Level.WARNING: "high", Level.INFO: "medium"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LANGUAGES: Mapping[Language, str] = {"en": "en", "zh": "zh-CN"}
_MOST_LOCATIONS = 10  # of one result that GitHub takes
_IN_A_FILE = ("image", "file")


def diagnosis_sarif(
    diagnosis: Diagnosis, *, root: Path, version: str, language: Language = "en", base: Path | None = None
) -> str:
    """Return a diagnosis as a SARIF log with one run.

    Every finding is a result with at most ten locations; what a baseline had accepted is a suppressed result. Checks
    that broke or could not be made are notifications, since a result says what was found.

    Args:
        diagnosis: What was found.
        root: Of the data set; names of places are relative to it.
        version: Of Snellen.
        language: Of messages and rules.
        base: Of the relative addresses in the log, such as the root of the repository; the current folder if None.
            Files outside have absolute addresses.
    """
    places = _Addresses(root, base or Path.cwd())
    order = {result.check.code: number for number, result in enumerate(diagnosis.results)}
    results = [
        _result(diagnosis, finding, order, places, language, is_accepted=is_accepted)
        for is_accepted, findings in ((False, diagnosis.all_findings), (True, diagnosis.accepted))
        for finding in findings
    ]
    crashed = diagnosis.with_status(Status.CRASHED)
    run = {
        "tool": {
            "driver": {
                "name": "Snellen",
                "semanticVersion": version,
                "rules": [_rule(result, language) for result in diagnosis.results],
            }
        },
        "language": _LANGUAGES[language],
        "invocations": [
            {
                "executionSuccessful": not crashed,
                "toolExecutionNotifications": [
                    _notification(result, order, language)
                    for result in (*crashed, *diagnosis.with_status(Status.NOT_CHECKABLE))
                ],
            }
        ],
        "results": results,
        "properties": {"outcomes": {result.check.code: outcome(result) for result in diagnosis.results}},
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, ensure_ascii=False, indent=1, allow_nan=False).encode(errors="replace").decode()


class _Addresses:
    """Addresses of places: relative to a base where they lie beneath it."""

    def __init__(self, root: Path, base: Path) -> None:
        self.root = root
        self.base = base.resolve()

    def location(self, place: Place) -> dict[str, Any]:
        """Return the location of a place; what is in no file is located in the data set."""
        is_file = place.kind in _IN_A_FILE
        found: dict[str, Any] = {
            "physicalLocation": {
                "artifactLocation": {"uri": self.uri(place.name if is_file else "")},
                "region": {"startLine": place.line or 1},
            },
            "message": {"text": place_text(place)},
        }
        if not is_file:
            found["logicalLocations"] = [{"name": place.name, "kind": place.kind}]
        return found

    def uri(self, name: str) -> str:
        """Return the address of a file of the data set."""
        path = (self.root / name).resolve()
        words = path.relative_to(self.base).as_posix() if path.is_relative_to(self.base) else ""
        if words in ("", "."):
            return "file://" + quote(str(path).encode(errors="surrogateescape"))
        return quote(words.encode(errors="surrogateescape"))


def _rule(result: CheckResult, language: Language) -> dict[str, Any]:
    check = result.check
    page = check.pages[language]
    worst = max((finding.level for finding in result.findings), default=Level.WARNING)
    return {
        "id": check.code,
        "name": "".join(word.capitalize() for word in check.name.split("-")),
        "shortDescription": {"text": page.title},
        "fullDescription": {"text": page.finds},
        "help": {"text": f"{page.matters}\n\n{page.fix}", "markdown": check_page(check, language)},
        "defaultConfiguration": {"level": _LEVELS[worst]},
        "properties": {"tags": [check.stage.value, *check.covers], "precision": _PRECISION[worst]},
    }


def _result(
    diagnosis: Diagnosis,
    finding: Finding,
    order: Mapping[str, int],
    places: _Addresses,
    language: Language,
    *,
    is_accepted: bool,
) -> dict[str, Any]:
    page = diagnosis.check_of(finding).pages[language]
    mark = fingerprint(finding)
    parts = [page.message(finding), measured_text(finding, language), page.fix_of(finding)]
    somewhere = finding.places[:_MOST_LOCATIONS] or (Place(kind="setting", name=finding.code),)
    found: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": order[finding.code],
        "level": _LEVELS[finding.level],
        "kind": "fail",
        "message": {"text": "\n".join(part for part in parts if part)},
        "locations": [places.location(place) for place in somewhere],
        "partialFingerprints": {"primaryLocationLineHash": f"{mark}:1", "snellenFinding/v1": mark},
        "properties": {
            "places": max(finding.num_places, len(finding.places)),
            **({"explainedBy": finding.explained_by} if finding.explained_by else {}),
        },
    }
    if is_accepted:
        found |= {"baselineState": "unchanged", "suppressions": [{"kind": "external", "status": "accepted"}]}
    return found


def _notification(result: CheckResult, order: Mapping[str, int], language: Language) -> dict[str, Any]:
    is_crash = result.status == Status.CRASHED
    text = result.trace if is_crash or result.reason is None else result.reason(language)
    code = result.check.code
    return {
        "descriptor": {"id": outcome(result)},
        "associatedRule": {"id": code, "index": order[code]},
        "level": "error" if is_crash else "note",
        "message": {"text": f"{code}: {text}"},
    }
