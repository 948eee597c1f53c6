"""From the cells of a table to numbers for each image."""

import math

import numpy as np

from snellen.data.formats.options import ReadOptions
from snellen.data.formats.table_entries import Entries, Entry
from snellen.data.formats.table_numbers import MISSING_WORDS, is_number
from snellen.data.problems import ProblemLog, Severity
from snellen.data.tables import ValueTable
from snellen.errors import DatasetError

__all__ = ["value_table"]


def value_table(entries: Entries, options: ReadOptions, log: ProblemLog) -> tuple[tuple[str, ...], ValueTable]:
    """Return the names of the values, and the numbers of each image; nan where there is none.

    Raises:
        DatasetError: If names were given that are not as many as the columns, or not one cell holds a number.
    """
    names = options.classes or entries.columns
    if len(names) != len(entries.columns):
        message = (
            f"a name for each of the columns {', '.join(entries.columns)} was expected; got {', '.join(names)}. Choose "
            "columns with columns (--columns); classes (--classes) renames them."
        )
        raise DatasetError(message, file=entries.file)
    values = np.full((entries.num_images, len(names)), np.nan)
    seen: set[int] = set()
    for entry in entries.rows:
        row = np.array([_number(entry, place, entries, log) for place in range(len(names))])
        if entry.image in seen:
            row = _joined(values[entry.image], row, entry, entries, log)
        seen.add(entry.image)
        values[entry.image] = row
    if not np.isfinite(values).any():
        message = f"numbers were expected in {', '.join(entries.columns)}; there is not one. Choose other columns."
        raise DatasetError(message, file=entries.file)
    _tell_of_columns(values, names, entries, log)
    return tuple(names), ValueTable(values=values)


def _number(entry: Entry, place: int, entries: Entries, log: ProblemLog) -> float:
    cell = entry.cells[place]
    text = cell if isinstance(cell, str) else " ".join(cell)
    where = f"in {entries.columns[place]!r} of {entries.paths[entry.image]}"
    if is_number(text):
        value = float(text)
        if math.isfinite(value):
            return value
        message = f"a finite number was expected {where}; got {text!r}; kept as unknown."
        fix = "write the number, or leave the cell empty"
        log.add("value-not-finite", message, file=entry.file, line=entry.line, severity="error", fix=fix)
    elif text.lower() not in MISSING_WORDS:
        message = f"a number was expected {where}; got {text!r}; kept as unknown."
        fix = "write digits with a point, without a unit; the unit belongs in the header, as in size [px]"
        log.add("annotation-unreadable", message, file=entry.file, line=entry.line, severity="error", fix=fix)
    return math.nan


def _joined(before: np.ndarray, row: np.ndarray, entry: Entry, entries: Entries, log: ProblemLog) -> np.ndarray:
    """Return what two rows of one image say together; where they contradict, nothing is known."""
    contradict = np.isfinite(before) & np.isfinite(row) & (before != row)
    told = "; left out"
    if contradict.any():
        places = np.flatnonzero(contradict)[:3].tolist()
        pairs = ", ".join(f"{entries.columns[place]} {before[place]:g} and {row[place]:g}" for place in places)
        told = f" with other numbers ({pairs}); kept as unknown"
    message = f"{entries.paths[entry.image]} is listed above{told}."
    severity: Severity = "error" if contradict.any() else "warning"
    log.add(
        "image-duplicate", message, file=entry.file, line=entry.line, severity=severity, fix="list every image once"
    )
    return np.where(contradict, np.nan, np.where(np.isfinite(before), before, row))


def _tell_of_columns(values: np.ndarray, names: tuple[str, ...], entries: Entries, log: ProblemLog) -> None:
    for name, column in zip(names, values.T, strict=True):
        missing = int((~np.isfinite(column)).sum())
        if missing:
            message = f"{missing} of {len(column)} images have no {name!r}; they count for nothing there."
            log.add("value-missing", message, file=entries.file, count=missing, severity="note", fix="fill them in")
        found = column[np.isfinite(column)]
        if len(found) > 1 and (found == found[0]).all():
            message = f"{name!r} is {found[0]:g} on every image: there is nothing to learn."
            log.add("value-constant", message, file=entries.file, fix="choose another column")
