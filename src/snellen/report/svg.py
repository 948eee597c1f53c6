"""Charts as inline SVG: lines, bars and heat maps.

Colours come from the page's CSS variables, so both themes fit.
All texts pass through ``markupsafe``: names with HTML in them stay text.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from snellen.report.formatting import number_text, shortened, text_width_em
from snellen.report.scales import Scale, finite_range, linear_scale, log_scale
from snellen.structures import Curve, Matrix, Series

__all__ = ["MAX_COLORED", "MAX_SERIES", "Mark", "bar_chart", "heat_ink", "heat_map", "line_chart"]

MAX_COLORED = 8  # lines with a colour of their own: as many as the palette has
MAX_SERIES = 60  # lines in one chart; beyond, the page only grows
_MAX_POINTS = 240  # per line; more are averaged, since a chart is about that many distinct pixels wide
_LOG_RATIO = 200.0  # highest over lowest value from which a loss is drawn on a logarithmic axis
_HEAT_INK = (0.58, 0.65)  # shares where light and dark letters are read equally well, dark and light theme
_WIDTH, _HEIGHT = 480.0, 280.0
_TOP, _RIGHT, _BOTTOM = 14.0, 14.0, 44.0
_FONT_PX = 12.0
_TICK_LENGTH = 4.0
_DOT_PX, _SMALL_DOT_PX = 3.5, 2.2  # radius of a point that stands alone, and of one among many
_MAX_DOTS = 2000  # of one series; more only make the page heavy


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """The rectangle between the axes, and the axes."""

    left: float
    right: float
    top: float
    bottom: float
    x: Scale
    y: Scale

    def point(self, x: float, y: float) -> tuple[float, float]:
        return (
            self.left + self.x.place(x) * (self.right - self.left),
            self.bottom - self.y.place(y) * (self.bottom - self.top),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dot:
    """A point of a line, or the mean of neighbours with their range."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A stretch of the horizontal axis that stands out behind the lines; a line where both ends are equal.

    Attributes:
        low: Where it begins.
        high: Where it ends.
        text: What it is.
    """

    low: float
    high: float
    text: str


def line_chart(curve: Curve, *, is_log_x: bool = False, marks: Sequence[Mark] = ()) -> Markup:
    """Return lines over labelled axes.

    Values that are not finite leave a gap; a series of dots has no line. A line of more than 240 points becomes the
    mean of neighbours, with a band from the lowest to the highest. If x and y stay within 0..1, the axes are exactly
    that.

    Args:
        curve: The lines.
        is_log_x: Whether equal distances on the horizontal axis are equal ratios.
        marks: Behind the lines.
    """
    shown = curve.series[:MAX_SERIES]
    frame = _frame(curve, shown, is_log_x=is_log_x)
    if frame is None:
        return _empty_chart(curve.title)
    parts = [*_axes(frame, curve.x_label, curve.y_label)]
    parts.extend(_mark(mark, frame) for mark in marks)
    # The first is drawn last, on top of the others.
    parts.extend(_line(shown[place], place, frame) for place in reversed(range(len(shown))))
    parts.append(Markup('<line class="cross" x1="0" x2="0" y1="{}" y2="{}"/>').format(frame.top, frame.bottom))
    return Markup(
        '<svg class="chart lines" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}" data-x="{} {} {} {} {}" '
        'data-y="{} {} {} {} {}">{}</svg>'
    ).format(
        _WIDTH,
        _HEIGHT,
        _spoken(curve.title, shown),
        *(frame.left, frame.right, frame.x.low, frame.x.high, "log" if frame.x.is_log else "linear"),
        *(frame.bottom, frame.top, frame.y.low, frame.y.high, "log" if frame.y.is_log else "linear"),
        Markup().join(parts),
    )


def _frame(curve: Curve, shown: Sequence[Series], *, is_log_x: bool) -> _Frame | None:
    pairs = [(x, y) for series in shown for x, y in zip(series.x, series.y, strict=True)]
    finite = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
    x_range, y_range = finite_range(x for x, _ in finite), finite_range(y for _, y in finite)
    if x_range is None or y_range is None:
        return None
    is_unit_y = y_range[0] >= 0 and y_range[1] <= 1
    if is_log_x:
        x, y = log_scale(*x_range), _value_scale(*y_range, is_loss=False)
    elif is_unit_y and x_range[0] >= 0 and x_range[1] <= 1:
        x, y = linear_scale(0, 1, is_snug=True), linear_scale(0, 1)
    else:
        x = linear_scale(*x_range, count=6, is_snug=True)
        y = _value_scale(*y_range, is_loss="loss" in curve.y_label.lower())
    left = 30.0 + max(text_width_em(label) for label in y.labels) * _FONT_PX
    return _Frame(left=left, right=_WIDTH - _RIGHT, top=_TOP, bottom=_HEIGHT - _BOTTOM, x=x, y=y)


def _value_scale(low: float, high: float, *, is_loss: bool) -> Scale:
    if is_loss and low > 0 and high / low >= _LOG_RATIO:
        return log_scale(low, high)
    if 0 <= low <= 0.5 * high:
        low = 0.0
    return linear_scale(low, high)


def _axes(frame: _Frame, x_label: str, y_label: str) -> Iterator[Markup]:
    for tick, label in zip(frame.y.ticks, frame.y.labels, strict=True):
        _, y = frame.point(frame.x.low, tick)
        yield Markup('<path class="grid" d="M{:.1f} {:.1f}H{:.1f}"/>').format(frame.left, y, frame.right)
        yield Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>').format(
            frame.left - 6, y + 4, label
        )
    for tick, label in zip(frame.x.ticks, frame.x.labels, strict=True):
        x, _ = frame.point(tick, frame.y.low)
        yield Markup('<path class="axis" d="M{:.1f} {:.1f}v{:g}"/>').format(x, frame.bottom, _TICK_LENGTH)
        yield Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
            x, frame.bottom + 17, label
        )
    yield Markup('<path class="axis" d="M{:.1f} {:.1f}H{:.1f}"/>').format(frame.left, frame.bottom, frame.right)
    middle = (frame.left + frame.right) / 2
    yield Markup('<text class="label" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
        middle, _HEIGHT - 8, shortened(x_label, 34)
    )
    height = (frame.top + frame.bottom) / 2
    yield Markup(
        '<text class="label" transform="translate(12 {:.1f}) rotate(-90)" text-anchor="middle">{}</text>'
    ).format(height, shortened(y_label, 20))


def _mark(mark: Mark, frame: _Frame) -> Markup:
    left, _ = frame.point(mark.low, frame.y.low)
    right, _ = frame.point(mark.high, frame.y.low)
    if right - left < 1:
        return Markup('<path class="mark" d="M{:.1f} {:.1f}V{:.1f}"><title>{}</title></path>').format(
            left, frame.top, frame.bottom, mark.text
        )
    return Markup(
        '<rect class="range" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
    ).format(left, frame.top, right - left, frame.bottom - frame.top, mark.text)


def _line(series: Series, place: int, frame: _Frame) -> Markup:
    if series.is_dots:
        return _group(series, place, [_dot(x, y, frame, _SMALL_DOT_PX) for x, y in _finite_points(series)])
    runs = [*_runs(_thinned(series))]
    parts: list[Markup] = []
    for run in runs:
        if any(dot.high > dot.low for dot in run):
            edge = [frame.point(dot.x, dot.high) for dot in run] + [
                frame.point(dot.x, dot.low) for dot in reversed(run)
            ]
            parts.append(Markup('<path class="band" d="M{}Z"/>').format(_route(edge)))
    for run in runs:
        points = [frame.point(dot.x, dot.y) for dot in run]
        if len(points) == 1:
            parts.append(_dot(run[0].x, run[0].y, frame, _DOT_PX))
        else:
            parts.append(Markup('<path class="line" d="M{}"/>').format(_route(points)))
    return _group(series, place, parts)


def _group(series: Series, place: int, parts: Sequence[Markup]) -> Markup:
    color = f"s{place}" if place < MAX_COLORED else "rest"
    return Markup('<g class="series {}" data-name="{}"><title>{}</title>{}</g>').format(
        color, series.name, series.name, Markup().join(parts)
    )


def _dot(x: float, y: float, frame: _Frame, radius: float) -> Markup:
    across, down = frame.point(x, y)
    return Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="{:g}"/>').format(across, down, radius)


def _finite_points(series: Series) -> list[tuple[float, float]]:
    points = [(x, y) for x, y in zip(series.x, series.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    return points[:: max(1, -(-len(points) // _MAX_DOTS))]


def _route(points: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _thinned(series: Series) -> list[_Dot]:
    points = [*zip(series.x, series.y, strict=True)]
    if len(points) <= _MAX_POINTS:
        return [_Dot(x=x, y=y, low=y, high=y) for x, y in points]
    dots = []
    for place in range(_MAX_POINTS):
        part = points[place * len(points) // _MAX_POINTS : (place + 1) * len(points) // _MAX_POINTS]
        finite = [y for _, y in part if math.isfinite(y)] or [math.nan]
        dots.append(_Dot(x=part[len(part) // 2][0], y=sum(finite) / len(finite), low=min(finite), high=max(finite)))
    return dots


def _runs(dots: Sequence[_Dot]) -> Iterator[list[_Dot]]:
    run: list[_Dot] = []
    for dot in dots:
        if math.isfinite(dot.x) and math.isfinite(dot.y):
            run.append(dot)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _spoken(title: str, shown: Sequence[Series]) -> str:
    """Say a chart in words for readers who cannot see it."""
    lines = []
    for series in shown[:MAX_COLORED]:
        bounds = finite_range(series.y)
        if bounds is not None:
            ends = f"from {number_text(series.y[0])} to {number_text(series.y[-1])}"
            lines.append(f"{series.name} {ends}, lowest {number_text(bounds[0])}, highest {number_text(bounds[1])}")
    return f"Line chart, {title}: {'; '.join(lines)}"


def _empty_chart(title: str) -> Markup:
    return Markup(
        '<svg class="chart" viewBox="0 0 {:g} 80" role="img" aria-label="{}: no finite values">'
        '<text class="label" x="{:g}" y="44" text-anchor="middle">No finite values</text></svg>'
    ).format(_WIDTH, title, _WIDTH / 2)


def bar_chart(title: str, names: Sequence[str], values: Sequence[float]) -> Markup:
    """Return one horizontal bar per name with its value written beside it."""
    row, label_em = 22.0, 16.0
    finite = [value for value in values if math.isfinite(value)]
    longest = max((abs(value) for value in finite), default=0.0) or 1.0
    left = 12 + min(label_em, max((text_width_em(name) for name in names), default=0.0)) * _FONT_PX
    room = _WIDTH - left - 74
    parts = []
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        top = place * row + 4
        length = abs(value) / longest * room if math.isfinite(value) else 0.0
        parts.append(
            Markup(
                "<g><title>{}: {}</title>"
                '<text class="tick name" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>'
                '<rect class="bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="14" rx="2"/>'
                '<text class="tick" x="{:.1f}" y="{:.1f}">{}</text></g>'
            ).format(
                name,
                _amount_text(value),
                left - 6,
                top + 11,
                shortened(name, label_em),
                left,
                top,
                max(length, 1.0),
                left + length + 6,
                top + 11,
                _amount_text(value),
            )
        )
    return Markup('<svg class="chart" viewBox="0 0 {:g} {:g}" role="img" aria-label="Bar chart, {}">{}</svg>').format(
        _WIDTH, len(names) * row + 6, title, Markup().join(parts)
    )


def heat_map(matrix: Matrix) -> Markup:
    """Return counts as cells whose colour is the share of their row, written where there is room."""
    cell = max(16.0, min(46.0, 520.0 / max(1, len(matrix.column_names))))
    label_em = 14.0
    left = 30 + min(label_em, max((text_width_em(name) for name in matrix.row_names), default=1.0)) * _FONT_PX
    top = 30 + min(label_em, max((text_width_em(name) for name in matrix.column_names), default=1.0)) * _FONT_PX * 0.72
    width = left + cell * len(matrix.column_names) + top * 0.72
    height = top + cell * len(matrix.row_names) + 8
    parts = [
        Markup('<text class="label" x="{:.1f}" y="12" text-anchor="middle">predicted</text>').format(
            left + cell * len(matrix.column_names) / 2
        ),
        Markup(
            '<text class="label" transform="translate(11 {:.1f}) rotate(-90)" text-anchor="middle">true</text>'
        ).format(top + cell * len(matrix.row_names) / 2),
    ]
    for place, name in enumerate(matrix.column_names):
        x = left + (place + 0.6) * cell
        parts.append(
            Markup(
                '<text class="tick name" transform="translate({:.1f} {:.1f}) rotate(-45)"><title>{}</title>{}</text>'
            ).format(x, top - 6, name, shortened(name, label_em))
        )
    for place, name in enumerate(matrix.row_names):
        parts.append(_heat_row(matrix, place, name, (left, top + place * cell, cell)))
    return Markup(
        '<svg class="heat" viewBox="0 0 {:.0f} {:.0f}" style="max-width:{:.0f}px;min-width:{:.0f}px" '
        'role="img" aria-label="{}; rows are the truth, columns the prediction">{}</svg>'
    ).format(width, height, width * 1.25, min(width, 620.0) * 0.75, matrix.title, Markup().join(parts))


def heat_ink(share: float) -> str:
    """Return the class of the letters in a cell: the colour that is read best on that much of ``--heat``."""
    if share < _HEAT_INK[0]:
        return "weak"
    return "middle" if share < _HEAT_INK[1] else "strong"


def _heat_row(matrix: Matrix, place: int, name: str, box: tuple[float, float, float]) -> Markup:
    left, top, cell = box
    values = matrix.values[place]
    total = sum(value for value in values if math.isfinite(value))
    parts = [
        Markup('<text class="tick name" x="{:.1f}" y="{:.1f}" text-anchor="end"><title>{}</title>{}</text>').format(
            left - 6, top + cell / 2 + 4, name, shortened(name, 14.0)
        )
    ]
    for column, value in enumerate(values):
        share = value / total if total > 0 and math.isfinite(value) else 0.0
        text = _count_text(value)
        font = min(12.0, (cell - 4) / max(text_width_em(text), 0.1))
        x = left + column * cell
        parts.append(
            Markup(
                "<g><title>{} → {}: {} ({:.1%})</title>"
                '<rect class="cell" x="{:.1f}" y="{:.1f}" width="{:.1f}" '
                'height="{:.1f}" fill-opacity="{:.3f}"/>'
            ).format(
                name,
                matrix.column_names[column],
                _amount_text(value),
                share,
                x,
                top,
                cell - 1,
                cell - 1,
                share,
            )
        )
        if value and font >= 7:  # smaller cannot be read; the title still says it
            parts.append(
                Markup(
                    '<text class="{}" x="{:.1f}" y="{:.1f}" font-size="{:.1f}" text-anchor="middle">{}</text>'
                ).format(
                    heat_ink(share),
                    x + (cell - 1) / 2,
                    top + cell / 2 + font * 0.35,
                    font,
                    text,
                )
            )
        parts.append(Markup("</g>"))
    return Markup().join(parts)


def _amount_text(value: float) -> str:
    return number_text(int(value) if math.isfinite(value) and float(value).is_integer() else value)


def _count_text(value: float) -> str:
    if math.isfinite(value) and float(value).is_integer():
        return f"{value / 1000:.3g}k" if abs(value) >= 10_000 else f"{int(value)}"
    return number_text(value)
