"""From a report to what the template shows: texts, charts and encoded images."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup
from PIL import Image

from snellen.report.confusion import confused_pairs, most_confused
from snellen.report.formatting import cell_text
from snellen.report.history import history_curves
from snellen.report.model import Bars, DataProblem, Figure, ImageCard, Report
from snellen.report.svg import MAX_COLORED, MAX_SERIES, bar_chart, heat_map, line_chart
from snellen.structures import Curve, Matrix, Results, Table

__all__ = ["report_view"]

MAX_ROWS = 2000  # of one table; a browser sorts and searches that many without a pause
MAX_MATRIX = 30  # classes in a confusion matrix whose names can still be read
MAX_PAIRS = 10  # most frequent confusions named below a matrix
MAX_BARS = 40  # about one screen
MAX_CARDS = 24  # images of one group; about 60 KB each
LARGE_LETTERS = 9  # that fit into a tile of the summary at its largest size
MAX_FIGURES = 6  # scalars in the summary when the report names none
IMAGE_PX = 800  # long side: half a wide screen, since truth and prediction stand side by side
WEBP_QUALITY = 80  # thin coloured lines stay clean from about here on

_SEVERITY_RANK = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    text: str
    sort: str = ""
    is_number: bool = False
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _TableView:
    title: str
    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[_Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plot:
    title: str
    svg: Markup
    legend: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _MatrixView:
    title: str
    svg: Markup
    note: str
    pairs: _TableView


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    id: str
    name: str
    scalars: _TableView
    tables: tuple[_TableView, ...]
    curves: tuple[_Plot, ...]
    matrices: tuple[_MatrixView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _FigureView:
    name: str
    text: str
    is_text: bool
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _CardView:
    caption: str
    halves: tuple[tuple[str, _Picture], ...]


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
        "problems": _problems(report.problems),
        "skipped": _table_view(
            Table(
                title="Skipped images",
                columns=("file", "reason"),
                rows=tuple((image.file, image.reason) for image in report.skipped),
            )
        ),
        "training": tuple(_plot(curve) for curve in history_curves(report.history, first=headlines)),
        "training_tables": tuple(_table_view(table) for table in report.training),
        "splits": tuple(_split(place, name, result) for place, (name, result) in enumerate(report.results.items())),
        "gallery": tuple(_group(title, cards) for title, cards in report.cards.items() if cards),
        "description": tuple(_table_view(table) for table in report.description),
        "distributions": tuple(_bars(bars) for bars in report.distributions),
        "settings": _table_view(
            Table(
                title="Settings and their reasons",
                columns=("setting", "value", "reason"),
                rows=tuple((row.name, _exact_text(row.value), row.reason) for row in report.settings),
            )
        ),
        "environment": _table_view(
            Table(title="Versions and hardware", columns=("name", "value"), rows=report.environment)
        ),
    }
    return view | {"sections": _sections(report, view)}


def _sections(report: Report, view: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    return (
        ("summary", "Summary"),
        *((("findings", "Findings"),) if report.findings else ()),
        ("problems", "Found and skipped"),
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


def _figure_view(figure: Figure) -> _FigureView:
    text = cell_text(figure.value)
    return _FigureView(name=figure.name, text=text, is_text=len(text) > LARGE_LETTERS, explanation=figure.explanation)


def _problems(problems: Sequence[DataProblem]) -> tuple[DataProblem, ...]:
    return tuple(sorted(problems, key=lambda problem: _SEVERITY_RANK[problem.severity])[:MAX_ROWS])


def _exact_text(value: str | float | int | None) -> str:
    """Return a setting with all its digits, so that the run can be repeated from the page."""
    return repr(value) if isinstance(value, float) else cell_text(value) if value is None else str(value)


def _table_view(table: Table, *, has_bars: bool = True) -> _TableView:
    kinds = [_column_kind(table, column) for column in range(len(table.columns))]
    if not has_bars:
        kinds = [(is_number, False) for is_number, _ in kinds]
    note = table.note
    if len(table.rows) > MAX_ROWS:
        note = f"{note} {len(table.rows) - MAX_ROWS:,} more rows are not shown.".strip()
    return _TableView(
        title=table.title,
        columns=tuple((name, is_number) for name, (is_number, _) in zip(table.columns, kinds, strict=True)),
        rows=tuple(
            tuple(_cell(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in table.rows[:MAX_ROWS]
        ),
        note=note,
    )


def _column_kind(table: Table, column: int) -> tuple[bool, bool]:
    """Return whether a column holds numbers, and whether they are shares, which get a bar behind them."""
    values = [row[column] for row in table.rows if row[column] is not None]
    is_number = bool(values) and all(isinstance(value, (int, float)) for value in values)
    measured = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    is_share = is_number and bool(measured) and all(0 <= value <= 1 for value in measured)
    return is_number, is_share and len(measured) == sum(
        isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)) for value in values
    )


def _cell(value: str | float | int | None, kind: tuple[bool, bool]) -> _Cell:
    is_number, is_share = kind
    if not is_number:
        return _Cell(text=cell_text(value))
    if not isinstance(value, (int, float)) or math.isnan(value):
        return _Cell(text=cell_text(value), is_number=True)
    return _Cell(
        text=cell_text(value),
        sort=f"{value:.9g}".replace("inf", "Infinity"),
        is_number=True,
        share=round(value, 3) if is_share and math.isfinite(value) else None,
    )


def _split(place: int, name: str, result: Results) -> _Split:
    rows = tuple(
        (f"{figure} (decides which model is best)" if figure == result.headline else figure, value)
        for figure, value in result.scalars.items()
    )
    return _Split(
        id=f"results-{place}",
        name=name,
        scalars=_table_view(Table(title="All figures", columns=("figure", "value"), rows=rows), has_bars=False),
        tables=tuple(_table_view(table) for table in result.tables),
        curves=tuple(_plot(curve) for curve in result.curves),
        matrices=tuple(_matrix_view(matrix) for matrix in result.matrices),
    )


def _plot(curve: Curve) -> _Plot:
    notes = [curve.note] if curve.note else []
    holes = sum(not math.isfinite(y) for series in curve.series for y in series.y)
    if holes:
        verb = "value is not finite and leaves a gap" if holes == 1 else "values are not finite and leave gaps"
        notes.append(f"{holes:,} {verb}.")
    if len(curve.series) > MAX_COLORED:
        notes.append(
            f"The first {MAX_COLORED} of {len(curve.series):,} lines have a colour"
            + (f"; {len(curve.series) - MAX_SERIES:,} are not drawn." if len(curve.series) > MAX_SERIES else ".")
        )
    return _Plot(
        title=curve.title,
        svg=line_chart(curve),
        legend=tuple(series.name for series in curve.series[:MAX_COLORED]),
        note=" ".join(notes),
    )


def _bars(bars: Bars) -> _Plot:
    pairs = [*zip(bars.names, bars.values, strict=True)]
    note = bars.note
    if len(pairs) > MAX_BARS:
        pairs.sort(key=lambda pair: -pair[1] if math.isfinite(pair[1]) else math.inf)
        note = f"{note} The {MAX_BARS} largest of {len(pairs):,} are shown.".strip()
    shown = pairs[:MAX_BARS]
    return _Plot(
        title=bars.title,
        svg=bar_chart(bars.title, [name for name, _ in shown], [value for _, value in shown]),
        note=note,
    )


def _matrix_view(matrix: Matrix) -> _MatrixView:
    shown = most_confused(matrix, MAX_MATRIX)
    pairs = replace(confused_pairs(matrix, MAX_PAIRS), note="")
    return _MatrixView(title=matrix.title, svg=heat_map(shown), note=shown.note, pairs=_table_view(pairs))


def _group(title: str, cards: Sequence[ImageCard]) -> _Group:
    hidden = len(cards) - MAX_CARDS
    return _Group(
        title=title,
        cards=tuple(
            _CardView(
                caption=card.caption,
                halves=tuple(
                    (kind, _picture(image))
                    for kind, image in (("truth", card.truth), ("prediction", card.prediction))
                    if image is not None
                ),
            )
            for card in cards[:MAX_CARDS]
        ),
        note=f"{hidden:,} more are not shown." if hidden > 0 else "",
    )


def _picture(image: Image.Image) -> _Picture:
    scale = min(1.0, IMAGE_PX / max(image.size))
    small = image.convert("RGB")
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        small = small.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=WEBP_QUALITY)
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return _Picture(uri=f"data:image/webp;base64,{text}", width=small.width, height=small.height)
