"""A diagnosis as JSON and back, without loss.

The records below are the layout; ``json_schema`` describes it to other programs. Messages and fixes are written in
every language for whoever reads the file, and made anew from the pages of the checks when it is read back.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from snellen.doctor import (
    CheckResult,
    Diagnosis,
    Finding,
    Level,
    Limit,
    Place,
    Status,
    Text,
    Treatment,
    find_check,
    fingerprint,
)
from snellen.doctor.finding import PlaceKind
from snellen.errors import ConfigError, InputError
from snellen.report.phrases import outcome

__all__ = ["diagnosis_from_json", "diagnosis_json", "json_schema"]

VERSION = 1  # of the layout; raised when an old reader could not read a new file


class NotFinite(msgspec.Struct, frozen=True):
    """A number that JSON does not have: ``nan``, ``inf`` or ``-inf``."""

    float: Literal["nan", "inf", "-inf"]


JsonNumber = float | int | NotFinite


class Words(msgspec.Struct, frozen=True):
    """One text in every language."""

    en: str
    zh: str


class LimitEntry(msgspec.Struct, frozen=True):
    """What the measured value was held against, its unit, and where it comes from.

    ``level`` is that of findings beyond it, where there is a lower one for what stays below.
    """

    value: JsonNumber
    unit: str
    source: str
    level: Literal["info", "warning", "error"] | None = None


class PlaceEntry(msgspec.Struct, frozen=True):
    """Where a fault is. Boxes are xyxy in pixels of the file, lines are counted from 1, ``twin`` is the other image."""

    kind: PlaceKind
    name: str
    line: int | None
    boxes: list[tuple[float, float, float, float]]
    note: str
    score: JsonNumber
    twin: str


class TreatmentEntry(msgspec.Struct, frozen=True):
    """A change that a machine can apply: options of ``snellen train``, images to leave out, changes of the data."""

    settings: dict[str, Any]
    drop_images: list[str]
    data: dict[str, Any]


class FindingEntry(msgspec.Struct, frozen=True):
    """One finding. ``key`` says which message of the check it is, ``message`` and ``fix`` say it in words.

    ``num_places`` is the true number; ``places`` may list only the worst. ``explained_by`` is the code of the finding
    of which this one is a consequence, or empty. ``fingerprint`` stays the same while what is found and where does.
    """

    code: str
    level: Literal["info", "warning", "error"]
    key: str
    message: Words
    fix: Words
    numbers: dict[str, str | float | int | NotFinite]
    measured: JsonNumber | None
    limit: LimitEntry | None
    places: list[PlaceEntry]
    num_places: int
    treatment: TreatmentEntry | None
    unchecked: Words | None
    explained_by: str
    fingerprint: str


class CheckEntry(msgspec.Struct, frozen=True):
    """How one check ended. ``accepted`` means that a baseline had accepted all that it found."""

    code: str
    name: str
    stage: str
    status: Literal["found", "passed", "not checkable", "crashed", "accepted"]
    reason: Words | None
    trace: str
    seconds: float
    findings: list[FindingEntry]


class DiagnosisEntry(msgspec.Struct, frozen=True):
    """A whole diagnosis. ``accepted`` are findings that a baseline had accepted."""

    version: int
    data: str
    model: str
    checks: list[CheckEntry]
    accepted: list[FindingEntry]


def diagnosis_json(diagnosis: Diagnosis, *, data: str = "", model: str = "") -> str:
    """Return a diagnosis as one JSON object.

    Args:
        diagnosis: What was found.
        data: Name of what was checked.
        model: Name of the model whose set-up was checked; empty if none was.
    """
    entry = DiagnosisEntry(
        version=VERSION,
        data=data,
        model=model,
        checks=[_check_entry(diagnosis, result) for result in diagnosis.results],
        accepted=[_finding_entry(diagnosis, finding) for finding in diagnosis.accepted],
    )
    text = json.dumps(msgspec.to_builtins(entry, enc_hook=_plain), allow_nan=False, ensure_ascii=False, indent=1)
    return text.encode(errors="replace").decode()  # names of files may hold bytes that are no text


def diagnosis_from_json(text: str | bytes) -> Diagnosis:
    """Read what ``diagnosis_json`` wrote.

    Raises:
        InputError: If the text is no JSON, of another version, lacks a part, or names a check that does not exist.
    """
    try:
        entry = msgspec.json.decode(text, type=DiagnosisEntry)
        if entry.version != VERSION:
            raise InputError(f"expected a diagnosis of version {VERSION}; got {entry.version}. Check again.")
        return Diagnosis(
            results=tuple(map(_result, entry.checks)),
            accepted=tuple(map(_finding, entry.accepted)),
        )
    except (msgspec.DecodeError, ConfigError) as error:
        raise InputError(f"expected a diagnosis as `snellen check --json` writes it; {error} Check again.") from error


def json_schema() -> dict[str, Any]:
    """Return a JSON Schema (draft 2020-12) of the layout."""
    return {"title": "Diagnosis of Snellen", **msgspec.json.schema(DiagnosisEntry)}


def _check_entry(diagnosis: Diagnosis, result: CheckResult) -> CheckEntry:
    return CheckEntry(
        code=result.check.code,
        name=result.check.name,
        stage=result.check.stage.value,
        status=outcome(result),  # type: ignore[arg-type]  # one of the five words
        reason=_words(result.reason),
        trace=result.trace,
        seconds=round(result.seconds, 4),
        findings=[_finding_entry(diagnosis, finding) for finding in result.findings],
    )


def _finding_entry(diagnosis: Diagnosis, finding: Finding) -> FindingEntry:
    pages = diagnosis.check_of(finding).pages
    return FindingEntry(
        code=finding.code,
        level=finding.level.name.lower(),  # type: ignore[arg-type]  # the three levels
        key=finding.message,
        message=Words(en=pages["en"].message(finding), zh=pages["zh"].message(finding)),
        fix=Words(en=pages["en"].fix_of(finding), zh=pages["zh"].fix_of(finding)),
        numbers={name: value if isinstance(value, str) else _number(value) for name, value in finding.numbers.items()},
        measured=None if finding.measured is None else _number(finding.measured),
        limit=_limit_entry(finding.limit),
        places=[_place_entry(place) for place in finding.places],
        num_places=max(finding.num_places, len(finding.places)),
        treatment=_treatment_entry(finding.treatment),
        unchecked=_words(finding.unchecked),
        explained_by=finding.explained_by,
        fingerprint=fingerprint(finding),
    )


def _limit_entry(limit: Limit | None) -> LimitEntry | None:
    if limit is None:
        return None
    level = None if limit.level is None else limit.level.name.lower()
    return LimitEntry(value=_number(limit.value), unit=limit.unit, source=limit.source, level=level)  # type: ignore[arg-type]  # the three levels


def _place_entry(place: Place) -> PlaceEntry:
    return PlaceEntry(
        kind=place.kind,
        name=place.name,
        line=place.line,
        boxes=[(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in place.boxes],
        note=place.note,
        score=_number(place.score),
        twin=place.twin,
    )


def _treatment_entry(treatment: Treatment | None) -> TreatmentEntry | None:
    if treatment is None:
        return None
    return TreatmentEntry(
        settings=dict(treatment.settings), drop_images=list(treatment.drop_images), data=dict(treatment.data)
    )


def _number(value: float) -> JsonNumber:
    plain = value.item() if hasattr(value, "item") else value  # numpy's numbers are told as Python's
    return plain if math.isfinite(plain) else NotFinite(float=str(float(plain)))  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    """Return what stands for a value of a treatment that JSON does not have: a number of numpy's, or a path."""
    return value.item() if hasattr(value, "item") else str(value)


def _words(text: Text | None) -> Words | None:
    return None if text is None else Words(en=text.en, zh=text.zh)


def _result(entry: CheckEntry) -> CheckResult:
    return CheckResult(
        check=find_check(entry.code),
        status=Status.FOUND if entry.status == "accepted" else Status(entry.status),
        findings=tuple(map(_finding, entry.findings)),
        reason=_text(entry.reason),
        trace=entry.trace,
        seconds=entry.seconds,
    )


def _finding(entry: FindingEntry) -> Finding:
    treatment = entry.treatment
    return Finding(
        code=entry.code,
        level=Level[entry.level.upper()],
        message=entry.key,
        numbers={name: value if isinstance(value, str) else _float(value) for name, value in entry.numbers.items()},
        measured=None if entry.measured is None else _float(entry.measured),
        limit=_limit(entry.limit),
        places=tuple(_place(place) for place in entry.places),
        num_places=entry.num_places,
        treatment=None
        if treatment is None
        else Treatment(settings=treatment.settings, drop_images=tuple(treatment.drop_images), data=treatment.data),
        unchecked=_text(entry.unchecked),
        explained_by=entry.explained_by,
    )


def _limit(entry: LimitEntry | None) -> Limit | None:
    if entry is None:
        return None
    level = None if entry.level is None else Level[entry.level.upper()]
    return Limit(value=_float(entry.value), unit=entry.unit, source=entry.source, level=level)


def _place(entry: PlaceEntry) -> Place:
    values: Mapping[str, Any] = msgspec.structs.asdict(entry)
    return Place(**{**values, "boxes": tuple(entry.boxes), "score": _float(entry.score)})


def _float(value: JsonNumber) -> float | int:
    return float(value.float) if isinstance(value, NotFinite) else value


def _text(words: Words | None) -> Text | None:
    return None if words is None else Text(en=words.en, zh=words.zh)
