"""What a baseline found: rows, what they tell of the data, and the files they are written to."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.text import Text

from snellen.errors import CheckpointError
from snellen.recipes.progress import skip_line
from snellen.recipes.runs import write_json
from snellen.report import Figure, Report, Setting, SkippedImage, table_markdown, table_text, write_report
from snellen.structures import Table

__all__ = ["BASELINE", "BaselineReport", "BaselineRow"]

BASELINE = "baseline.json"
_VERSION = 1
_COLUMNS = 110  # of ``BaselineReport.text``, which knows no terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRow:
    """What one model reached.

    Attributes:
        model: Its name, as ``train`` takes it; of a guess, what is guessed.
        features: What it looks at; empty for guesses.
        score: Headline on the images it was measured on.
        low: End of its 95 % interval.
        high: The other end.
        scalars: Everything that was measured.
        fit_s: Seconds to choose settings and to fit, features apart.
        features_s: Seconds for the features of the training images, as far as they were not known before.
        image_ms: Milliseconds for one image, from pixels to answer.
        num_bytes: Of what was fitted.
        lower_is_better: Whether the headline is an error.
        facts: What the fit had to report.
    """

    model: str
    features: str
    score: float
    low: float
    high: float
    scalars: Mapping[str, float]
    fit_s: float = 0.0
    features_s: float = 0.0
    image_ms: float = 0.0
    num_bytes: int = 0
    lower_is_better: bool = False
    facts: Mapping[str, float | int | str] = field(default_factory=dict)

    @property
    def rank(self) -> float:
        """What rows are sorted by, the greatest first."""
        return _rank(self.score, lower_is_better=self.lower_is_better)

    @property
    def at_least(self) -> float:
        """The worse end of the interval, as a rank."""
        return _rank(self.high if self.lower_is_better else self.low, lower_is_better=self.lower_is_better)

    @property
    def at_most(self) -> float:
        """The better end of the interval, as a rank."""
        return _rank(self.low if self.lower_is_better else self.high, lower_is_better=self.lower_is_better)


def _rank(value: float, *, lower_is_better: bool) -> float:
    if not isfinite(value):
        return float("-inf")
    return -value if lower_is_better else value


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineReport:
    """What shallow models reach on a data set: what a deep net has to beat.

    Attributes:
        data: The data set.
        split: That it was measured on.
        num_train: Training images.
        num_measured: Images of the split.
        headline: Name of the figure that decides.
        rows: In the order in which they were measured.
        left_out: Models that were not measured, and why.
        skipped: Images that could not be read, and why.
        notes: What the rows tell of the data.
        settings: That decide the rows.
        interrupted: Whether it was broken off.
    """

    data: str
    split: str
    num_train: int
    num_measured: int
    headline: str
    rows: tuple[BaselineRow, ...]
    left_out: Mapping[str, str]
    skipped: Mapping[str, str]
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
    interrupted: bool = False

    @property
    def ranked(self) -> tuple[BaselineRow, ...]:
        """The rows, the best first."""
        return tuple(sorted(self.rows, key=lambda row: -row.rank))

    @property
    def best(self) -> BaselineRow | None:
        """The best row."""
        return self.ranked[0] if self.rows else None

    def table(self) -> Table:
        """Return the rows as a table, the best first."""
        rows = [
            (
                row.model,
                row.score,
                f"{row.low:.3f}–{row.high:.3f}",
                f"{row.fit_s + row.features_s:.1f} s" if row.features else "",
                f"{row.image_ms:.2f} ms" if row.features else "",
                _size(row.num_bytes) if row.features else "",
            )
            for row in self.ranked
        ]
        return Table(
            title=f"What a deep net has to beat: {self.headline} on {self.split} ({self.num_measured} images)",
            columns=("model", self.headline, "95 % interval", "to fit", "per image", "size"),
            rows=tuple(rows),
            note="Intervals are percentiles of a bootstrap over the images measured (Efron 1979), or Wilson's (1927) "
            "where all images are right or all wrong. Times are of this machine; those of features that were known "
            "from before are not counted.",
        )

    def renderable(self) -> RenderableType:
        """Return everything as something that ``rich`` prints."""
        parts: list[RenderableType] = [table_text(self.table(), max_rows=100)]
        parts += [Text(note) for note in self.notes]
        parts += [Text(f"{name} was left out: {reason}", style="yellow") for name, reason in self.left_out.items()]
        parts += [Text(skip_line(path, reason), style="yellow") for path, reason in self.skipped.items()]
        return Group(*parts)

    def text(self) -> str:
        """Return everything as plain text."""
        screen = Console(file=StringIO(), width=_COLUMNS, record=True)
        screen.print(self.renderable())
        return screen.export_text()

    def markdown(self) -> str:
        """Return everything as Markdown."""
        notes = [f"- {note}" for note in self.notes]
        notes += [f"- {name} was left out: {reason}" for name, reason in self.left_out.items()]
        return "\n".join([table_markdown(self.table()), *notes, ""])

    def write(self, folder: Path) -> None:
        """Write ``baseline.json``, ``baseline.md`` and ``baseline.html``."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / BASELINE, {"version": _VERSION, **asdict(self)})
        (folder / "baseline.md").write_text(self.markdown(), encoding="utf-8")
        write_report(folder / "baseline.html", self._page())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what was written to a folder.

        Raises:
            CheckpointError: If it cannot be read.
        """
        file = folder / BASELINE
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if content.pop("version") != _VERSION:
                raise ValueError("another version")
            rows = tuple(BaselineRow(**row) for row in content.pop("rows"))
            return cls(**{**content, "rows": rows, "notes": tuple(content["notes"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{file}: expected a baseline of this version; {error}. Choose another folder, or delete the file."
            ) from error

    def without_times(self) -> Self:
        """Return the same with what depends on the machine left out, to compare two baselines by."""
        rows = tuple(replace(row, fit_s=0.0, features_s=0.0, image_ms=0.0) for row in self.rows)
        return replace(self, rows=rows)

    def _page(self) -> Report:
        best = self.best
        figures: list[Figure] = []
        if best is not None:
            figures.append(
                Figure(
                    name=f"{self.headline} to beat",
                    value=best.score,
                    explanation=f"{best.model}, {best.low:.3f}–{best.high:.3f}",
                )
            )
        guesses = [row for row in self.rows if not row.features]
        if guesses:
            first = max(guesses, key=lambda row: row.rank)
            figures.append(Figure(name="without looking", value=first.score, explanation=first.model))
        figures.append(Figure(name="training images", value=self.num_train))
        columns = ("model", *dict.fromkeys(name for row in self.rows for name in row.scalars))
        everything = Table(
            title="All figures",
            columns=columns,
            rows=tuple((row.model, *(row.scalars.get(name) for name in columns[1:])) for row in self.ranked),
        )
        chosen = Table(
            title="What was chosen and tried",
            columns=("model", "fact", "value"),
            rows=tuple((row.model, name, value) for row in self.ranked for name, value in row.facts.items()),
        )
        return Report(
            title="Baseline",
            subtitle=f"{self.data} · {self.split}: {self.num_measured} images",
            summary=tuple(figures),
            training=tuple(table for table in (self.table(), everything, chosen) if table.rows),
            settings=tuple(Setting(name=name, value=str(value)) for name, value in self.settings.items()),
            skipped=tuple(SkippedImage(file=path, reason=reason) for path, reason in self.skipped.items()),
            notes=(*self.notes, *(f"{name} was left out: {reason}" for name, reason in self.left_out.items())),
            commands=tuple(_commands(self.settings, best)),
        )


def _commands(settings: Mapping[str, Any], best: BaselineRow | None) -> Sequence[str]:
    data = settings["data"]
    found = [shlex.join(["snellen", "baseline", data])]
    if best is not None and best.features:
        weights = ["--weights", settings["weights"]] if settings["weights"] and "_features_" in best.model else []
        found.append(shlex.join(["snellen", "train", data, "--model", best.model, *weights]))
    return found


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:.1f} kB"
