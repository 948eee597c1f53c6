"""Findings that were looked at and accepted: kept in a file, so that only new ones are shown."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from snellen.doctor.diagnosis import CheckResult, Diagnosis
from snellen.doctor.finding import Finding, Level, Place
from snellen.errors import ConfigError

__all__ = ["AcceptedFinding", "fingerprint", "read_baseline", "without_accepted", "write_baseline"]

VERSION = 1  # of the file; raised when an old reader could not read a new one

AnyDiagnosis = TypeVar("AnyDiagnosis", bound=Diagnosis)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedFinding:
    """A finding that is not shown again.

    Attributes:
        code: Of the check.
        message: Which of its messages.
        level: A graver finding is new.
        places: Where it was.
        num_places: How many places there were; more than ``places`` if not all were listed.
    """

    code: str
    message: str
    level: Level
    places: frozenset[str]
    num_places: int

    def covers(self, finding: Finding) -> bool:
        """Return whether a finding says no more than this one did.

        A place that was not there is new. Where not all places were listed then, or are not now, their number decides.
        """
        if (finding.code, finding.message) != (self.code, self.message) or finding.level > self.level:
            return False
        is_whole = self.num_places <= len(self.places) and finding.num_places <= len(finding.places)
        if is_whole:
            return {_place_key(place) for place in finding.places} <= self.places
        return max(finding.num_places, len(finding.places)) <= self.num_places


def fingerprint(finding: Finding) -> str:
    """Return a hash of what was found and where, whatever the order of the places, the numbers and the language."""
    places = sorted(_place_key(place) for place in finding.places)
    text = json.dumps([finding.code, finding.message, places], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def write_baseline(path: Path | str, diagnosis: Diagnosis) -> None:
    """Write a file that accepts all that was found, and what had been accepted before."""
    found = (*diagnosis.accepted, *diagnosis.all_findings)
    entries = [
        {
            "fingerprint": fingerprint(finding),
            "code": finding.code,
            "message": finding.message,
            "level": finding.level.name.lower(),
            "num_places": max(finding.num_places, len(finding.places)),
            "places": sorted({_place_key(place) for place in finding.places}),
        }
        for finding in found
    ]
    entries.sort(key=lambda entry: (str(entry["code"]), str(entry["message"]), str(entry["fingerprint"])))
    content = json.dumps({"version": VERSION, "accepted": entries}, indent=1, ensure_ascii=False)
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(f"{content}\n".encode(errors="surrogateescape"))


def read_baseline(path: Path | str) -> tuple[AcceptedFinding, ...]:
    """Return the findings that a file accepts.

    Raises:
        ConfigError: If there is no such file, or it is not one that `write_baseline` wrote.
    """
    file = Path(path)
    try:
        content = json.loads(file.read_bytes().decode(errors="surrogateescape"))
        version = content["version"]
        if version != VERSION:
            raise ConfigError(f"{file}: expected a baseline of version {VERSION}; got {version!r}. Write it anew.")
        return tuple(_accepted(entry) for entry in content["accepted"])
    except FileNotFoundError as error:
        raise ConfigError(f"{file}: expected a baseline; there is none. Write one with --write-baseline.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"{file}: expected a baseline as --write-baseline writes it; this is not one ({error!r}). Write it anew."
        ) from error


def without_accepted(diagnosis: AnyDiagnosis, accepted: Sequence[AcceptedFinding]) -> AnyDiagnosis:
    """Return the diagnosis with the accepted findings, and what follows from them, set apart.

    A check whose findings were all accepted keeps its status, with no findings left.
    """
    known = {id(finding) for finding in diagnosis.all_findings if any(entry.covers(finding) for entry in accepted)}
    open_codes = {finding.code for finding in diagnosis.all_findings if id(finding) not in known}
    apart = [
        finding
        for finding in diagnosis.all_findings
        if id(finding) in known or (finding.explained_by and finding.explained_by not in open_codes)
    ]
    aside = {id(finding) for finding in apart}
    results = tuple(_left(result, aside) for result in diagnosis.results)
    return replace(diagnosis, results=results, accepted=(*diagnosis.accepted, *apart))


def _left(result: CheckResult, aside: Iterable[int]) -> CheckResult:
    return replace(result, findings=tuple(finding for finding in result.findings if id(finding) not in aside))


def _accepted(entry: dict[str, Any]) -> AcceptedFinding:
    return AcceptedFinding(
        code=str(entry["code"]),
        message=str(entry["message"]),
        level=Level[str(entry["level"]).upper()],
        places=frozenset(map(str, entry["places"])),
        num_places=int(entry["num_places"]),
    )


def _place_key(place: Place) -> str:
    """Return what names a place; scores and notes may change, and the objects in an image are told apart."""
    boxes = ";".join(",".join(f"{side:.0f}" for side in box) for box in sorted(place.boxes))
    first, second = sorted((place.name, place.twin)) if place.twin else (place.name, "")
    return "|".join((place.kind, first, "" if place.line is None else str(place.line), second, boxes)).rstrip("|")
