"""A diagnosis for the terminal."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text as RichText

from snellen.doctor import CheckResult, Diagnosis, Finding, Language, Level, Place, Status
from snellen.report.formatting import plain_text
from snellen.report.phrases import LEVELS, OUTCOMES, labelled, measured_text, phrase, summary_line
from snellen.report.settings_words import settings_words

__all__ = ["LEVEL_STYLES", "diagnosis_text", "findings_text", "place_text"]

LEVEL_STYLES: Mapping[Level, str] = {Level.ERROR: "bold red", Level.WARNING: "bold yellow", Level.INFO: "bold cyan"}
_INDENT = 2


def diagnosis_text(diagnosis: Diagnosis, language: Language = "en", *, max_places: int = 5) -> RenderableType:
    """Return a diagnosis as something that ``rich`` prints: findings, what could not be checked, a summary.

    Args:
        diagnosis: What was found.
        language: Of all words.
        max_places: Places of a finding to list.
    """
    parts: list[RenderableType] = [findings_text(diagnosis, language, max_places=max_places)]
    for last, results in _crashes(diagnosis).items():
        parts += [_crash(last, results, language), RichText()]
    parts += [
        RichText(f"{OUTCOMES['not checkable'](language)}: {', '.join(codes)}: {reason}", style="dim")
        for reason, codes in _reasons(diagnosis, language).items()
    ]
    if diagnosis.accepted:
        parts.append(RichText(f"{len(diagnosis.accepted)} {phrase('accepted by the baseline', language)}", style="dim"))
    parts.append(RichText(summary_line(diagnosis, language), style="bold"))
    return Group(*parts)


def findings_text(diagnosis: Diagnosis, language: Language = "en", *, max_places: int = 5) -> RenderableType:
    """Return the findings alone, each with its consequences, the gravest first."""
    parts: list[RenderableType] = []
    for finding in diagnosis.findings:
        parts += [_finding(diagnosis, finding, language, max_places), RichText()]
    return Group(*parts)


def _finding(diagnosis: Diagnosis, finding: Finding, language: Language, max_places: int) -> RenderableType:
    check = diagnosis.check_of(finding)
    page = check.pages[language]
    head = RichText.assemble(
        (f"{LEVELS[finding.level](language)} ", LEVEL_STYLES[finding.level]),
        (f"{finding.code} {check.name}: ", "bold"),
        plain_text(page.message(finding)),
    )
    lines = [measured_text(finding, language), *_place_lines(finding, language, max_places)]
    lines.append(labelled("fix", page.fix_of(finding), language))
    if words := settings_words(finding.treatment):
        lines.append(labelled("settings", words, language))
    if finding.unchecked is not None:
        lines.append(labelled("unchecked", finding.unchecked(language), language))
    for follower in diagnosis.all_findings:
        if follower.explained_by == finding.code:
            told = diagnosis.check_of(follower)
            text = f"{follower.code} {told.name}: {told.pages[language].message(follower)}"
            lines.append(labelled("consequences", text, language))
    body = [RichText(plain_text(line)) for line in lines if line]
    return Group(head, *(Padding(line, (0, 0, 0, _INDENT), expand=False) for line in body))


def _place_lines(finding: Finding, language: Language, max_places: int) -> Iterable[str]:
    shown = finding.places[:max_places]
    for place in shown:
        yield f"- {place_text(place)}"
    more = max(finding.num_places, len(finding.places)) - len(shown)
    if more > 0 and shown:
        yield f"  {phrase('and more', language, count=f'{more:,}')}"


def place_text(place: Place) -> str:
    """Return a place in one line."""
    line = "" if place.line is None else f":{place.line}"
    twin = f" = {place.twin}" if place.twin else ""
    note = f" ({place.note})" if place.note else ""
    return f"{place.name}{line}{twin}{note}"


def _crashes(diagnosis: Diagnosis) -> Mapping[str, Sequence[CheckResult]]:
    """Return the checks that broke, by the last line of their trace: what breaks one source breaks many checks."""
    found: dict[str, list[CheckResult]] = {}
    for result in diagnosis.with_status(Status.CRASHED):
        found.setdefault("".join(result.trace.strip().splitlines()[-1:]), []).append(result)
    return found


def _crash(last: str, results: Sequence[CheckResult], language: Language) -> RenderableType:
    names = ", ".join(f"{result.check.code} {result.check.name}" for result in results)
    head = RichText.assemble(
        (f"{OUTCOMES['crashed'](language)} ", "bold magenta"), (f"{names}: ", "bold"), plain_text(last)
    )
    return Group(head, Padding(RichText(phrase("crash", language)), (0, 0, 0, _INDENT), expand=False))


def _reasons(diagnosis: Diagnosis, language: Language) -> Mapping[str, Sequence[str]]:
    """Return the codes of the checks that were not checkable, by the reason."""
    codes: dict[str, list[str]] = {}
    for result in diagnosis.with_status(Status.NOT_CHECKABLE):
        if result.reason is not None:
            codes.setdefault(result.reason(language), []).append(result.check.code)
    return codes
