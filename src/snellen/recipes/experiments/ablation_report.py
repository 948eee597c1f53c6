"""What an ablation says: a table in every form, and a page with a plot."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any, Self

from rich.console import Console, RenderableType

from snellen.errors import CheckpointError
from snellen.metrics import Interval
from snellen.recipes.experiments.comparing import Comparison
from snellen.recipes.runs import write_json
from snellen.report import (
    Figure,
    IntervalRow,
    Intervals,
    Report,
    Setting,
    table_csv,
    table_latex,
    table_markdown,
    table_text,
    write_report,
)
from snellen.report.formatting import number_text
from snellen.structures import Table

__all__ = ["AblationReport", "difference_text", "gain_text", "interval_text"]

REPORT = "ablation.json"
_VERSION = 1
_COLUMNS = 110  # of ``AblationReport.text``, which knows no terminal
_ROUNDING = 1e-9  # of the larger end of an interval: what sums of equal values differ by, and more
_NOTE = (
    "Mean over {seeds} ± half of Student's 95 % interval; differences are taken seed by seed from “{first}”. "
    "{images}"
    "Seconds are of this machine."
)
_IMAGES = "“Per image” is the difference of the mean quality of an image, with its bootstrap interval over the images. "


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationReport:
    """What each choice is worth.

    Attributes:
        data: The data set.
        split: That was measured.
        seeds: Of each configuration.
        headline: Name of the figure that decides.
        rows: The configurations; the others are held against the first.
        settings: Options that all share.
        command: That repeats it.
    """

    data: str
    split: str
    seeds: tuple[int, ...]
    headline: str
    rows: tuple[Comparison, ...]
    settings: Mapping[str, Any]
    command: str = ""

    @property
    def ranked(self) -> tuple[Comparison, ...]:
        """The configurations, the best first; those that failed at the end."""

        def rank(row: Comparison) -> float:
            mean = row.headline.mean.mean
            return float("inf") if not isfinite(mean) else mean if row.lower_is_better else -mean

        return tuple(sorted(self.rows, key=rank))

    def table(self) -> Table:
        """Return everything in one table, in the order of the study."""
        names = tuple(self.rows[0].figures)
        has_quality = any(row.image_quality is not None for row in self.rows)
        has_memory = any(row.peak_bytes for row in self.rows)
        has_failures = any(row.failures for row in self.rows)
        apart = {name: "difference" if len(names) == 1 else f"{name}, difference" for name in names}
        columns = ["variant", *(column for name in names for column in (name, apart[name]))]
        columns += ["per image"] * has_quality + ["seconds"] + ["memory"] * has_memory
        columns += ["failed"] * has_failures
        rows = []
        for place, row in enumerate(self.rows):
            cells: list[str | float | int | None] = [row.name]
            for name in names:
                figure = row.figures[name]
                cells += [interval_text(figure.mean), "first" if place == 0 else difference_text(figure.difference)]
            cells += ["first" if place == 0 else difference_text(row.image_quality)] * has_quality
            cells += [round(row.seconds, 1) if isfinite(row.seconds) else None]
            cells += [None if row.peak_bytes is None else f"{row.peak_bytes / 1e6:,.0f} MB"] * has_memory
            cells += [len(row.failures)] * has_failures
            rows.append(tuple(cells))
        note = _NOTE.format(
            seeds=f"{len(self.seeds)} seeds" if len(self.seeds) > 1 else "one seed",
            first=self.rows[0].name,
            images=_IMAGES if has_quality else "",
        )
        if self.rows[0].lower_is_better:
            note = f"Less {names[0]} is better. {note}"
        title = f"What each choice is worth: {self.headline} on {self.split}"
        return Table(title=title, columns=tuple(columns), rows=tuple(rows), note=note)

    def numbers(self) -> Table:
        """Return the same as plain numbers, a column for each: what the CSV holds."""
        names = tuple(self.rows[0].figures)
        parts = ("mean", "low", "high", "difference", "difference_low", "difference_high", "p_value")
        rows = []
        for row in self.rows:
            cells: list[str | float | int | None] = [row.name, len(self.seeds) - len(row.failures)]
            for name in names:
                one, apart = row.figures[name].mean, row.figures[name].difference or Interval(mean=float("nan"))
                cells += [one.mean, one.low, one.high, apart.mean, apart.low, apart.high, apart.p_value]
            rows.append((*cells, row.seconds, row.peak_bytes))
        columns = (
            "variant",
            "trained",
            *(f"{name}_{part}" for name in names for part in parts),
            "seconds",
            "peak_bytes",
        )
        return Table(title="", columns=columns, rows=tuple(rows))

    def renderable(self) -> RenderableType:
        """Return the table as something that ``rich`` prints."""
        return table_text(self.table(), max_rows=200)

    def text(self) -> str:
        """Return the table as plain text."""
        screen = Console(file=StringIO(), width=_COLUMNS, record=True)
        screen.print(self.renderable())
        return screen.export_text()

    def markdown(self) -> str:
        """Return the table as Markdown."""
        return table_markdown(self.table())

    def latex(self) -> str:
        """Return the table as LaTeX."""
        return table_latex(self.table())

    def csv(self) -> str:
        """Return the numbers as CSV."""
        return table_csv(self.numbers())

    def write(self, folder: Path) -> None:
        """Write ``ablation.json``, ``.md``, ``.tex``, ``.csv`` and ``.html``."""
        write_json(folder / REPORT, {"version": _VERSION, **asdict(self)})
        for ending, text in (("md", self.markdown()), ("tex", self.latex()), ("csv", self.csv())):
            (folder / f"ablation.{ending}").write_text(text, encoding="utf-8")
        write_report(folder / "ablation.html", self._page())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what was written to a folder.

        Raises:
            CheckpointError: If it cannot be read.
        """
        file = folder / REPORT
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            if told.pop("version") != _VERSION:
                raise ValueError("another version")
            rows = tuple(Comparison.from_record(row) for row in told.pop("rows"))
            return cls(**{**told, "rows": rows, "seeds": tuple(told["seeds"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{file}: expected an ablation of this version; {error}. Run it again.") from error

    def _page(self) -> Report:
        best, first = self.ranked[0], self.rows[0]
        if best is not first:
            standing = f"; {gain_text(best.gain)} beside “{first.name}”"
        elif len(self.rows) > 1 and not any(_is_worse(row.gain) for row in self.rows[1:]):
            standing = "; all differences may be chance"
        else:
            standing = ""
        return Report(
            title="Ablation",
            subtitle=f"{self.data} · {self.headline} on {self.split} · seeds {', '.join(map(str, self.seeds))}",
            summary=(
                Figure(
                    name="best mean",
                    value=best.name,
                    explanation=interval_text(best.headline.mean) + standing,
                ),
                Figure(name="configurations", value=len(self.rows)),
                Figure(name="trainings", value=len(self.rows) * len(self.seeds)),
            ),
            training=(self.table(),),
            intervals=tuple(self._intervals()),
            settings=tuple(Setting(name=name, value=str(value)) for name, value in self.settings.items()),
            notes=tuple(f"{row.name} failed: {reason}" for row in self.rows for reason in dict.fromkeys(row.failures)),
            commands=(self.command,) if self.command else (),
        )

    def _intervals(self) -> "list[Intervals]":
        figures = [(row.name, row.headline) for row in self.rows]
        charts = [
            Intervals(
                title=f"{self.headline} on {self.split}",
                label=self.headline,
                rows=tuple(
                    IntervalRow(name=name, mean=one.mean.mean, low=one.mean.low, high=one.mean.high, values=one.values)
                    for name, one in figures
                ),
                note="Means with 95 % intervals; small dots are seeds.",
            )
        ]
        if len(self.rows) > 1:
            charts.append(
                Intervals(
                    title=f"Difference from “{self.rows[0].name}”",
                    label=f"difference of {self.headline}",
                    zero=0.0,
                    rows=tuple(
                        IntervalRow(
                            name=name, mean=one.difference.mean, low=one.difference.low, high=one.difference.high
                        )
                        for name, one in figures
                        if one.difference is not None
                    ),
                    note="Paired by seed; an interval that crosses the dashed line may be chance.",
                )
            )
        return charts


def interval_text(interval: Interval) -> str:
    """Return a mean with half of its interval, such as ``0.812 ± 0.010``."""
    if not isfinite(interval.mean):
        return "–"
    if not isfinite(interval.low):
        return number_text(interval.mean)
    return f"{number_text(interval.mean)} ± {_half_text(interval)}"


def difference_text(interval: Interval | None) -> str:
    """Return a difference with its sign and half of its interval, such as ``+0.021 ± 0.010``."""
    if interval is None or not isfinite(interval.mean):
        return "–"
    sign = "+" if interval.mean >= 0 else "−"
    size = f"{sign}{number_text(abs(interval.mean))}"
    if not isfinite(interval.low):
        return size
    return f"{size} ± {_half_text(interval)}"


def _half_text(interval: Interval) -> str:
    """Return half of an interval; what is left of rounding where all values are equal is nothing."""
    half = (interval.high - interval.low) / 2
    return number_text(half if half > _ROUNDING * max(abs(interval.low), abs(interval.high)) else 0.0)


def _is_worse(gain: Interval | None) -> bool:
    return gain is not None and gain.is_below_zero


def gain_text(interval: Interval | None) -> str:
    """Return a gain, and whether it may be chance."""
    if interval is None:
        return "–"
    told = difference_text(interval)
    return told if interval.is_above_zero or interval.is_below_zero else f"{told}, which may be chance"
