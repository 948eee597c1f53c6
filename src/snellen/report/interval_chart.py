"""Figures with their intervals, a row for each, over one horizontal axis."""

import math
from collections.abc import Iterator

from markupsafe import Markup

from snellen.report.formatting import number_text, shortened, text_width_em
from snellen.report.model import IntervalRow, Intervals
from snellen.report.scales import Scale, finite_range, linear_scale

__all__ = ["interval_chart"]

_WIDTH, _ROW, _LABEL_EM, _FONT_PX = 480.0, 24.0, 18.0, 12.0
_DOT_PX, _SMALL_DOT_PX = 4.0, 2.2


def interval_chart(intervals: Intervals) -> Markup:
    """Return one row for each name: its mean, a bar over its interval, and the single measurements as small dots."""
    values = [value for row in intervals.rows for value in (row.mean, row.low, row.high, *row.values)]
    span = finite_range([*values, *(() if intervals.zero is None else (intervals.zero,))])
    height = len(intervals.rows) * _ROW + 46
    if span is None:
        span = (0.0, 1.0)
    scale = linear_scale(*span)
    names = max((text_width_em(row.name) for row in intervals.rows), default=0.0)
    left, right = 14 + min(_LABEL_EM, names) * _FONT_PX, _WIDTH - 14
    bottom = len(intervals.rows) * _ROW + 6
    parts = [*_axis(scale, left, right, bottom, intervals.label)]
    if intervals.zero is not None:
        place = left + scale.place(intervals.zero) * (right - left)
        parts.append(Markup('<path class="mark" d="M{:.1f} 4V{:.1f}"/>').format(place, bottom))
    for number, row in enumerate(intervals.rows):
        parts.append(_row(row, 6 + (number + 0.5) * _ROW, scale, (left, right)))
    return Markup('<svg class="chart" viewBox="0 0 {:g} {:g}" role="img" aria-label="Intervals, {}">{}</svg>').format(
        _WIDTH, height, intervals.title, Markup().join(parts)
    )


def _axis(scale: Scale, left: float, right: float, bottom: float, label: str) -> Iterator[Markup]:
    for tick, text in zip(scale.ticks, scale.labels, strict=True):
        x = left + scale.place(tick) * (right - left)
        yield Markup('<path class="grid" d="M{:.1f} 4V{:.1f}"/>').format(x, bottom)
        yield Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
            x, bottom + 15, text
        )
    yield Markup('<text class="label" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
        (left + right) / 2, bottom + 33, shortened(label, 34)
    )


def _row(row: IntervalRow, middle: float, scale: Scale, ends: tuple[float, float]) -> Markup:
    left, right = ends

    def across(value: float) -> float:
        return left + scale.place(value) * (right - left)

    parts = [
        Markup('<text class="tick name" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>').format(
            left - 8, middle + 4, shortened(row.name, _LABEL_EM)
        )
    ]
    if math.isfinite(row.low) and math.isfinite(row.high):
        parts.append(
            Markup('<path class="line" d="M{:.1f} {:.1f}H{:.1f}"/>').format(across(row.low), middle, across(row.high))
        )
    parts.extend(
        Markup('<circle class="dot rest" cx="{:.1f}" cy="{:.1f}" r="{:g}"/>').format(
            across(value), middle + 6, _SMALL_DOT_PX
        )
        for value in row.values
        if math.isfinite(value)
    )
    if math.isfinite(row.mean):
        parts.append(
            Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="{:g}"/>').format(across(row.mean), middle, _DOT_PX)
        )
    told = f"{row.name}: {number_text(row.mean)} ({number_text(row.low)} to {number_text(row.high)})"
    return Markup('<g class="series s0"><title>{}</title>{}</g>').format(told, Markup().join(parts))
