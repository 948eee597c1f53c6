"""Which of the logged values share a chart."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from snellen.structures import Curve, Series

__all__ = ["history_curves"]

# A value belongs to the first panel whose pattern is found in its name. Nested mappings are joined with "/".
_PANELS = (
    ("Learning rate", "learning rate", re.compile(r"(^|[/_.])(lr|learning_rate)([/_.\d]|$)")),
    ("Waiting for data", "share of time", re.compile(r"(^|[/_.])wait(?!.*_s$)")),
    ("Throughput", "images per second", re.compile(r"images?(_per_|/)(s|sec|second)\b")),
    ("Loss", "loss", re.compile(r"^((train|training|epoch)[/_.])?(total_)?loss(es)?([/_.]total)?$")),
    ("Loss", "loss", re.compile(r"^(val|valid|validation|dev)[/_.](total_)?loss(es)?([/_.]total)?$")),
    ("Validation loss, parts", "loss", re.compile(r"^(val|valid|validation|dev)[/_.].*loss")),
    ("Loss, parts", "loss", re.compile(r"loss")),
    ("Validation", "score", re.compile(r"^(val|valid|validation|dev|eval|metrics)[/_.]")),
)
_FIRST = (
    "Loss",
    "Loss, parts",
    "Validation",
    "Validation loss, parts",
    "Learning rate",
    "Waiting for data",
    "Throughput",
)
_NOT_SHOWN = re.compile(r"^(step|epoch|batch|row|time|timestamp|date|seconds|elapsed\w*|event|kind|seed)$")
_AXES = ("step", "epoch")
_STEP_TIMES = ("images", "data_wait_s", "step_s")


def history_curves(history: Sequence[Mapping[str, object]], *, first: Sequence[str] = ()) -> tuple[Curve, ...]:
    """Return one chart for each group of logged values, the most important first.

    Validation figures that leave 0..1 and names that fit no group get a chart of their own.

    Args:
        history: Log rows in order; see ``Report.history``.
        first: Names of metrics that should lead their chart.
    """
    has_steps = any(row.get("event") == "step" for row in history)
    rows = [dict(_flat(_plain_row(row, has_steps=has_steps))) for row in history]
    axis = next((name for name in _AXES if any(row.get(name) is not None for row in rows)), "row")
    values: dict[str, list[tuple[float, float]]] = {}
    measured: set[str] = set()  # names that were a number at least once
    for number, row in enumerate(rows):
        place = row.get(axis, float(number))
        for name, value in row.items():
            if not _NOT_SHOWN.match(name) and place is not None and math.isfinite(place):
                values.setdefault(name, []).append((place, math.nan if value is None else value))
                measured |= set() if value is None else {name}
    values = {name: points for name, points in values.items() if name in measured}
    panels: dict[tuple[str, str], list[Series]] = {}
    for name in sorted(values, key=lambda name: (not _is_among(name, first), list(values).index(name))):
        points = values[name]
        panel = _panel(name, [y for _, y in points])
        series = Series(name=name, x=tuple(x for x, _ in points), y=tuple(y for _, y in points))
        panels.setdefault(panel, []).append(series)
    rank = {title: place for place, title in enumerate(_FIRST)}
    return tuple(
        Curve(title=title, x_label=axis, y_label=label, series=tuple(panels[title, label]))
        for title, label in sorted(panels, key=lambda panel: rank.get(panel[0], len(rank)))
    )


def _plain_row(row: Mapping[str, object], *, has_steps: bool) -> Mapping[str, object]:
    """Return a log row under names that say which event it came from; rows without an event stay as they are."""
    match row.get("event"):
        case None:
            return row
        case "step":
            return _step_row(row)
        case "epoch_done":
            figures = {"epoch": {"loss": row.get("loss")}} if has_steps else {"loss": row.get("loss")}
        case "validated":
            losses = row.get("losses")
            scalars = row.get("scalars") or {"score": row.get("score")}
            figures = {"val": {"loss": losses}, "validation": scalars}
        case _:
            return {}
    return {**{axis: row.get(axis) for axis in _AXES if axis != "epoch" or "epoch" not in figures}, **figures}


def _step_row(row: Mapping[str, object]) -> Mapping[str, object]:
    """Return the row of a step with its times as rates, which can be compared between machines and batch sizes."""
    wait, work, images = row.get("data_wait_s"), row.get("step_s"), row.get("images")
    rest = {name: value for name, value in row.items() if name not in _STEP_TIMES}
    if not (isinstance(wait, float) and isinstance(work, float) and wait + work > 0):
        return rest
    rate = {"images_per_s": images / (wait + work)} if isinstance(images, int) else {}
    return {**rest, "data_wait": wait / (wait + work), **rate}


def _flat(row: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float | None]]:
    """Yield names and numbers; None is what JSON has instead of NaN."""
    for key, value in row.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}/")
        elif isinstance(value, (list, tuple)):
            yield from _flat({str(place): item for place, item in enumerate(value)}, f"{name}/")
        elif value is None:
            yield name, None
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name, float(value)


def _panel(name: str, values: Sequence[float]) -> tuple[str, str]:
    lowered = name.lower()
    for title, label, pattern in _PANELS:
        if pattern.search(lowered):
            fits = title != "Validation" or all(0 <= value <= 1 for value in values if math.isfinite(value))
            return (title, label) if fits else (name, name)
    return name, name


def _is_among(name: str, wanted: Sequence[str]) -> bool:
    return any(re.split(r"[/.]", name)[-1] == metric for metric in wanted)
