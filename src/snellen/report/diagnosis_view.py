"""From a diagnosis to what the template shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from snellen.doctor import CheckResult, Diagnosis, Finding, Language, Level, Status
from snellen.report.figures import FigureView
from snellen.report.formatting import plain_text
from snellen.report.phrases import LEVELS, OUTCOMES, measured_text, outcome, phrase
from snellen.report.plots import PlotView, plot_view, worded
from snellen.report.settings_words import settings_words
from snellen.report.table_view import TableView, table_view
from snellen.report.worst_places import Album, Shot
from snellen.structures import Table

__all__ = ["FindingView", "accepted_views", "checks_view", "figures", "finding_views"]

MOST_SHOTS = 12  # pictures of one finding
MOST_PLACES = 50  # that are listed of one finding


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """One finding as the template shows it."""

    level: str
    level_word: str
    code: str
    name: str
    message: str
    measured: str
    fix: str
    settings: str
    unchecked: str
    places: TableView
    more: str
    shots: tuple[Shot, ...]
    plots: tuple[PlotView, ...]
    about: tuple[tuple[str, str], ...]
    consequences: tuple[tuple[str, str], ...]


def finding_views(diagnosis: Diagnosis, language: Language, album: Album | None = None) -> tuple[FindingView, ...]:
    """Return the findings, the gravest first, with their consequences folded under them.

    Args:
        diagnosis: What was found.
        language: Of all words.
        album: Makes the pictures; None shows none.
    """
    return tuple(_finding_view(diagnosis, finding, language, album) for finding in diagnosis.findings)


def _finding_view(diagnosis: Diagnosis, finding: Finding, language: Language, album: Album | None) -> FindingView:
    check = diagnosis.check_of(finding)
    page = check.pages[language]
    followers = [follower for follower in diagnosis.all_findings if follower.explained_by == finding.code]
    shown = min(len(finding.places), MOST_PLACES)
    more = max(finding.num_places, len(finding.places)) - shown
    return FindingView(
        level=_LEVEL_CLASSES[finding.level],
        level_word=LEVELS[finding.level](language),
        code=finding.code,
        name=check.name,
        message=plain_text(page.message(finding)),
        measured=measured_text(finding, language),
        fix=plain_text(page.fix_of(finding)),
        settings=settings_words(finding.treatment),
        unchecked="" if finding.unchecked is None else finding.unchecked(language),
        places=_places(finding, language),
        more=phrase("and more", language, count=f"{more:,}") if more > 0 and shown else "",
        shots=() if album is None else tuple(album.shots(finding.places, MOST_SHOTS)),
        plots=tuple(plot_view(worded(curve, language), language) for curve in finding.curves),
        about=(
            (phrase("finds", language), page.finds),
            (phrase("matters", language), page.matters),
            (phrase("measures", language), page.measured),
            (phrase("false alarms", language), page.false_alarms),
            (phrase("source", language), check.source),
        ),
        consequences=tuple(
            (
                f"{follower.code} {diagnosis.check_of(follower).name}",
                plain_text(diagnosis.check_of(follower).pages[language].message(follower)),
            )
            for follower in followers
        ),
    )


_LEVEL_CLASSES = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "note"}


def _places(finding: Finding, language: Language) -> TableView:
    rows = tuple(
        (
            plain_text(place.name if place.line is None else f"{place.name}:{place.line}"),
            plain_text(f"= {place.twin} {place.note}" if place.twin else place.note),
        )
        for place in finding.places[:MOST_PLACES]
    )
    columns: tuple[str, ...] = (phrase("places", language), phrase("note", language))
    if not any(note for _, note in rows):
        rows, columns = tuple((name,) for name, _ in rows), columns[:1]  # type: ignore[misc]  # one column
    return table_view(Table(title=phrase("places", language), columns=columns, rows=rows))


def checks_view(diagnosis: Diagnosis, language: Language) -> TableView:
    """Return all checks with how they ended, and why some could not be made."""
    columns = tuple(phrase(name, language) for name in ("code", "check", "stage", "status", "reason", "seconds"))
    rows = tuple(
        (
            result.check.code,
            f"{result.check.name}: {result.check.pages[language].title}",
            phrase(result.check.stage.value, language),
            OUTCOMES[outcome(result)](language),
            _why(result, language),
            round(result.seconds, 2),
        )
        for result in diagnosis.results
    )
    return table_view(Table(title=phrase("all checks", language), columns=columns, rows=rows), has_bars=False)


def _why(result: CheckResult, language: Language) -> str:
    if result.status == Status.CRASHED:
        last = result.trace.strip().splitlines()[-1:]
        return plain_text(" ".join([phrase("crash", language), *last]))
    return "" if result.reason is None else plain_text(result.reason(language))


def accepted_views(diagnosis: Diagnosis, language: Language) -> Sequence[tuple[str, str]]:
    """Return code and message of what a baseline had accepted."""
    return [
        (
            f"{finding.code} {diagnosis.check_of(finding).name}",
            plain_text(diagnosis.check_of(finding).pages[language].message(finding)),
        )
        for finding in diagnosis.accepted
    ]


def figures(diagnosis: Diagnosis, language: Language) -> tuple[FigureView, ...]:
    """Return the numbers to read first: findings by level, then how the checks ended."""
    levels = [finding.level for finding in diagnosis.findings]
    told = [(LEVELS[level](language), levels.count(level)) for level in sorted(LEVELS, reverse=True)]
    ends = [outcome(result) for result in diagnosis.results]
    told += [(word(language), ends.count(end)) for end, word in OUTCOMES.items() if end not in ("found", "accepted")]
    return tuple(FigureView(name=name, text=f"{count:,}") for name, count in told)
