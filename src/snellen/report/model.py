"""What a report shows: plain records, filled by the recipes and read by the writers of HTML and text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image

from snellen.data import Problem
from snellen.doctor import Diagnosis
from snellen.structures import Results, Table

__all__ = [
    "Bars",
    "Figure",
    "ImageCard",
    "IntervalRow",
    "Intervals",
    "Report",
    "Setting",
    "SkippedImage",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number worth reading first, and what it means."""

    name: str
    value: float | int | str | None
    explanation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of the run and why it has this value."""

    name: str
    value: str | float | int | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedImage:
    """An image that was left out, and why."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """One amount per name, such as the number of objects of each class."""

    title: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalRow:
    """One figure that was measured several times: its mean, the ends of its interval, and each measurement."""

    name: str
    mean: float
    low: float = float("nan")
    high: float = float("nan")
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Figures with intervals over one axis; ``zero`` is what they are held against, such as no difference."""

    title: str
    label: str
    rows: tuple[IntervalRow, ...]
    zero: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageCard:
    """One image with the truth and the prediction drawn on it; either may be missing."""

    caption: str
    truth: Image.Image | None = None
    prediction: Image.Image | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """Everything that one report shows. Whatever is empty is left out of the page.

    Attributes:
        title: First heading.
        subtitle: One line below it: model, data, date.
        summary: The numbers to read first; if empty, the scalars of the first results stand in.
        results: What was measured, by the name of the split.
        history: Log rows in order. A row maps names to numbers, texts, lists or mappings of numbers.
            ``step`` or ``epoch`` is the horizontal axis; the lines of ``log.jsonl`` can be passed as they are.
            ``report.history`` says which names share a chart.
        training: Tables about the training, such as its stages.
        intervals: Figures of several trainings with their intervals.
        settings: The configuration with reasons.
        environment: Names and values: versions, hardware, commit.
        problems: What was tolerated while reading the data and is in no finding.
        skipped: Images that were left out.
        description: Tables about the data.
        distributions: Bar charts about the data.
        cards: Images by the name of the group (best, worst, most uncertain).
        commands: Command lines that repeat the run, in order.
        diagnosis: What was found in data and set-up before training, and while it ran.
        notes: Paragraphs of plain text that the reader must see.
    """

    title: str
    subtitle: str = ""
    summary: tuple[Figure, ...] = ()
    results: Mapping[str, Results] = field(default_factory=dict)
    history: tuple[Mapping[str, object], ...] = ()
    training: tuple[Table, ...] = ()
    intervals: tuple[Intervals, ...] = ()
    settings: tuple[Setting, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    problems: tuple[Problem, ...] = ()
    skipped: tuple[SkippedImage, ...] = ()
    description: tuple[Table, ...] = ()
    distributions: tuple[Bars, ...] = ()
    cards: Mapping[str, tuple[ImageCard, ...]] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    diagnosis: Diagnosis | None = None
    notes: tuple[str, ...] = ()
