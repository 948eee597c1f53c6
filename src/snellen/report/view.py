"""From a report to what the template shows: texts, charts and encoded images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from snellen.data import Problem
from snellen.report.confusion import confused_pairs, most_confused
from snellen.report.diagnosis_view import finding_views
from snellen.report.figures import FigureView
from snellen.report.formatting import cell_text
from snellen.report.history import history_curves
from snellen.report.interval_chart import interval_chart
from snellen.report.model import Bars, Figure, ImageCard, Intervals, Report
from snellen.report.phrases import summary_line
from snellen.report.pictures import Picture, picture
from snellen.report.plots import PlotView, plot_view
from snellen.report.svg import bar_chart, heat_map
from snellen.report.table_view import MAX_ROWS, TableView, table_view
from snellen.structures import Matrix, Results, Table

__all__ = ["report_view"]

MAX_MATRIX = 30  # classes in a confusion matrix whose names can still be read
MAX_PAIRS = 10  # most frequent confusions named below a matrix
MAX_BARS = 40  # about one screen
MAX_CARDS = 24  # images of one group; about 60 KB each
LARGE_LETTERS = 9  # that fit into a tile of the summary at its largest size
MAX_FIGURES = 6  # scalars in the summary when the report names none
IMAGE_PX = 800  # long side: half a wide screen, since truth and prediction stand side by side

_SEVERITY_RANK = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class _MatrixView:
    title: str
    svg: Markup
    note: str
    pairs: TableView


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    id: str
    name: str
    scalars: TableView
    tables: tuple[TableView, ...]
    curves: tuple[PlotView, ...]
    matrices: tuple[_MatrixView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _CardView:
    caption: str
    halves: tuple[tuple[str, Picture], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    title: str
    cards: tuple[_CardView, ...]
    note: str


def report_view(report: Report) -> dict[str, object]:
    """Return the variables of the template."""
    headlines = tuple(result.headline for result in report.results.values())
    view: dict[str, object] = {
        "report": report,
        "figures": tuple(_figure_view(figure) for figure in _figures(report)),
        "findings": () if report.diagnosis is None else finding_views(report.diagnosis, "en"),
        "outcome_line": "" if report.diagnosis is None else summary_line(report.diagnosis, "en"),
        "problems": _problems(report.problems),
        "has_problems": bool(report.problems or report.skipped or report.results),
        "skipped": table_view(
            Table(
                title="Skipped images",
                columns=("file", "reason"),
                rows=tuple((image.file, image.reason) for image in report.skipped),
            )
        ),
        "training": (
            *(_intervals(intervals) for intervals in report.intervals),
            *(plot_view(curve) for curve in history_curves(report.history, first=headlines)),
        ),
        "training_tables": tuple(table_view(table) for table in report.training),
        "splits": tuple(_split(place, name, result) for place, (name, result) in enumerate(report.results.items())),
        "gallery": tuple(_group(title, cards) for title, cards in report.cards.items() if cards),
        "description": tuple(table_view(table) for table in report.description),
        "distributions": tuple(_bars(bars) for bars in report.distributions),
        "settings": table_view(
            Table(
                title="Settings and their reasons",
                columns=("setting", "value", "reason"),
                rows=tuple((row.name, _exact_text(row.value), row.reason) for row in report.settings),
            )
        ),
        "environment": table_view(
            Table(title="Versions and hardware", columns=("name", "value"), rows=report.environment)
        ),
    }
    return view | {"sections": _sections(report, view)}


def _sections(report: Report, view: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    return (
        ("summary", "Summary"),
        *((("findings", "Findings"),) if report.diagnosis is not None else ()),
        *((("problems", "Found and skipped"),) if view["has_problems"] else ()),
        *((("training", "Training"),) if view["training"] or report.training else ()),
        *((f"results-{place}", f"Results: {name}") for place, name in enumerate(report.results)),
        *((("images", "Images"),) if view["gallery"] else ()),
        *((("data", "Data"),) if report.description or report.distributions else ()),
        *((("settings", "Configuration"),) if report.settings else ()),
        *((("environment", "Environment"),) if report.environment else ()),
        *((("repeat", "How to repeat"),) if report.commands else ()),
    )


def _figures(report: Report) -> tuple[Figure, ...]:
    if report.summary or not report.results:
        return report.summary
    split, first = next(iter(report.results.items()))
    names = sorted(first.scalars, key=lambda name: (name != first.headline, "acuity" not in name.lower()))
    return tuple(
        Figure(name=name, value=first.scalars[name], explanation=f"on {split}") for name in names[:MAX_FIGURES]
    )


def _figure_view(figure: Figure) -> FigureView:
    text = cell_text(figure.value)
    return FigureView(name=figure.name, text=text, is_text=len(text) > LARGE_LETTERS, explanation=figure.explanation)


def _problems(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: _SEVERITY_RANK[problem.severity])[:MAX_ROWS])


def _exact_text(value: str | float | int | None) -> str:
    """Return a setting with all its digits, so that the run can be repeated from the page."""
    return repr(value) if isinstance(value, float) else cell_text(value) if value is None else str(value)


def _split(place: int, name: str, result: Results) -> _Split:
    rows = tuple(
        (f"{figure} (decides which model is best)" if figure == result.headline else figure, value)
        for figure, value in result.scalars.items()
    )
    return _Split(
        id=f"results-{place}",
        name=name,
        scalars=table_view(Table(title="All figures", columns=("figure", "value"), rows=rows), has_bars=False),
        tables=tuple(table_view(table) for table in result.tables),
        curves=tuple(plot_view(curve) for curve in result.curves),
        matrices=tuple(_matrix_view(matrix) for matrix in result.matrices),
    )


def _bars(bars: Bars) -> PlotView:
    pairs = [*zip(bars.names, bars.values, strict=True)]
    note = bars.note
    if len(pairs) > MAX_BARS:
        pairs.sort(key=lambda pair: -pair[1] if math.isfinite(pair[1]) else math.inf)
        note = f"{note} The {MAX_BARS} largest of {len(pairs):,} are shown.".strip()
    shown = pairs[:MAX_BARS]
    return PlotView(
        title=bars.title,
        svg=bar_chart(bars.title, [name for name, _ in shown], [value for _, value in shown]),
        note=note,
    )


def _intervals(intervals: Intervals) -> PlotView:
    return PlotView(title=intervals.title, svg=interval_chart(intervals), note=intervals.note)


def _matrix_view(matrix: Matrix) -> _MatrixView:
    shown = most_confused(matrix, MAX_MATRIX)
    pairs = replace(confused_pairs(matrix, MAX_PAIRS), note="")
    return _MatrixView(title=matrix.title, svg=heat_map(shown), note=shown.note, pairs=table_view(pairs))


def _group(title: str, cards: Sequence[ImageCard]) -> _Group:
    hidden = len(cards) - MAX_CARDS
    return _Group(
        title=title,
        cards=tuple(
            _CardView(
                caption=card.caption,
                halves=tuple(
                    (kind, picture(image, IMAGE_PX))
                    for kind, image in (("truth", card.truth), ("prediction", card.prediction))
                    if image is not None
                ),
            )
            for card in cards[:MAX_CARDS]
        ),
        note=f"{hidden:,} more are not shown." if hidden > 0 else "",
    )
