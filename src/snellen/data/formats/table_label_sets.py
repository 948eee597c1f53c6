"""From the cells of a table to a set of classes for each image: names in one cell, or a column of 0 and 1 per class.

In a cell of names, an empty cell is an image that shows none of the classes; ``?`` says that nobody has looked, and
``?name`` that nobody has looked for this class. In a column of a class, an empty cell says that.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from snellen.data.formats.options import ReadOptions
from snellen.data.formats.table_classes import class_names
from snellen.data.formats.table_entries import Entries, Entry
from snellen.data.formats.table_numbers import FALSE_WORDS, MISSING_WORDS, TRUE_WORDS, are_flags
from snellen.data.formats.table_roles import LABEL_COLUMNS, LABEL_SET_COLUMNS, plain_name
from snellen.data.formats.table_rows import Cell, are_several_rows
from snellen.data.problems import ProblemLog, Severity
from snellen.data.tables import LabelSetTable
from snellen.errors import DatasetError, did_you_mean

__all__ = ["SEPARATORS", "UNKNOWN_SIGN", "label_set_table"]

SEPARATORS = (";", "|", ",")
UNKNOWN_SIGN = "?"
_SEPARATOR_WORDS: Mapping[str, str] = MappingProxyType({"space": " ", "comma": ",", "semicolon": ";", "tab": "\t"})
_UNKNOWN, _NOT_SHOWN, _SHOWN = -1, 0, 1
States = NDArray[np.int8]


def label_set_table(entries: Entries, options: ReadOptions, log: ProblemLog) -> tuple[tuple[str, ...], LabelSetTable]:
    """Return the names of the classes, and which of them each image shows.

    Raises:
        DatasetError: If it is not clear what separates the names in a cell, or a column of a class holds -1.
    """
    columns = [[entry.cells[place] for entry in entries.rows] for place in range(len(entries.columns))]
    has_names = plain_name(entries.columns[0]) in (*LABEL_COLUMNS, *LABEL_SET_COLUMNS)
    if len(columns) > 1 or (are_flags(columns[0]) and not has_names):
        names, states = _of_flags(entries, options, log)
    else:
        names, states = _of_names(entries, options, log)
    shown, known = states == _SHOWN, states != _UNKNOWN
    silent = int((~known.any(axis=1)).sum())
    if silent and len(names):
        message = f"of {silent} images nothing is known; they are kept and count for nothing."
        log.add("label-missing", message, file=entries.file, count=silent, fix="label them")
    return names, LabelSetTable(shown=shown, known=known)


def _of_names(entries: Entries, options: ReadOptions, log: ProblemLog) -> tuple[tuple[str, ...], States]:
    parts = _splitter([entry.cells[0] for entry in entries.rows], options, entries)
    sets = [parts(entry.cells[0]) for entry in entries.rows]
    texts = [text.removeprefix(UNKNOWN_SIGN) for found in sets for text in found]
    names, label_of = class_names(texts, entries, options, log)
    states = np.zeros((entries.num_images, len(names)), np.int8)
    kept: dict[int, frozenset[str]] = {}
    several = _has_several_rows(entries)
    for entry, found in zip(entries.rows, sets, strict=True):
        if entry.image in kept and not several:
            _tell_repeated(entry, kept[entry.image] == found, entries, log)
        kept[entry.image] = kept.get(entry.image, frozenset()) | found
        for text in sorted(found):
            name = text.removeprefix(UNKNOWN_SIGN)
            if text == UNKNOWN_SIGN:
                states[entry.image] = np.where(states[entry.image] == _SHOWN, _SHOWN, _UNKNOWN)
            elif name not in label_of:
                message = f"{name!r} is no class of {entries.paths[entry.image]}'s data set; left out."
                hint = did_you_mean(name, names).strip()
                fix = f"correct the label. {hint}".strip()
                log.add("class-unknown", message, file=entry.file, line=entry.line, fix=fix, severity="error")
            elif text == name:
                states[entry.image, label_of[name]] = _SHOWN
            elif states[entry.image, label_of[name]] != _SHOWN:
                states[entry.image, label_of[name]] = _UNKNOWN
    _tell_empty(kept, entries, log)
    return names, states


def _has_several_rows(entries: Entries) -> bool:
    """Return whether the table has a row for each label rather than one for each image."""
    rows = np.bincount([entry.image for entry in entries.rows], minlength=entries.num_images)
    return are_several_rows(int((rows > 1).sum()), entries.num_images)


def _tell_repeated(entry: Entry, same: bool, entries: Entries, log: ProblemLog) -> None:  # noqa: FBT001
    told = "left out" if same else "with other labels; the labels of both are put together"
    message = f"{entries.paths[entry.image]} is listed above{'; ' if same else ' '}{told}."
    log.add("image-duplicate", message, file=entry.file, line=entry.line, fix="list every image once")


def _tell_empty(kept: Mapping[int, frozenset[str]], entries: Entries, log: ProblemLog) -> None:
    empty = sum(not found for found in kept.values())
    if empty:
        message = f"{empty} images have no label and are taken as showing none of the classes."
        fix = "write ? where nobody has looked"
        log.add("label-set-empty", message, file=entries.file, count=empty, fix=fix, severity="note")


def _splitter(cells: Sequence[Cell], options: ReadOptions, entries: Entries) -> Callable[[Cell], frozenset[str]]:
    """Return how a cell becomes names."""
    texts = [cell for cell in cells if isinstance(cell, str)]
    separator = _separator(texts, options, entries) if texts else None

    def parts(cell: Cell) -> frozenset[str]:
        found: Iterable[str] = cell
        if isinstance(cell, str):
            found = (cell,) if separator is None else cell.split(separator)
        return frozenset(name.strip() for name in found) - {""}

    return parts


def _separator(texts: Sequence[str], options: ReadOptions, entries: Entries) -> str | None:
    if options.separator is not None:
        return _SEPARATOR_WORDS.get(options.separator, options.separator)
    if options.classes is not None:
        fitting = [sign for sign in (*SEPARATORS, " ") if _all_known(texts, sign, options.classes)]
        if len(fitting) == 1 or _all_known(texts, None, options.classes):
            return fitting[0] if len(fitting) == 1 else None
    held = [sign for sign in SEPARATORS if any(sign in text for text in texts)]
    if len(held) == 1:
        return held[0]
    if held:
        signs = " and ".join(held)
        raise _ask(entries, f"cells of {entries.columns[0]!r} hold {signs}")
    if any(" " in text for text in texts):
        example = next(text for text in texts if " " in text)
        raise _ask(entries, f"cells of {entries.columns[0]!r} hold spaces, such as {example!r}: one name or several")
    return None


def _all_known(texts: Sequence[str], sign: str | None, classes: Sequence[str]) -> bool:
    parts = [part for text in texts for part in (text.split(sign) if sign else [text])]
    names = {part.strip().removeprefix(UNKNOWN_SIGN) for part in parts}
    separates = sign is None or any(sign in text for text in texts)
    return separates and names - {""} <= set(classes)


def _ask(entries: Entries, finding: str) -> DatasetError:
    answer = "Say what separates the names with separator (--separator ';', --separator space)."
    return DatasetError(f"the labels can be read in more than one way: {finding}. {answer}", file=entries.file)


def _of_flags(entries: Entries, options: ReadOptions, log: ProblemLog) -> tuple[tuple[str, ...], States]:
    places = _chosen_columns(entries, options)
    names = tuple(entries.columns[place] for place in places)
    states = np.full((entries.num_images, len(places)), _UNKNOWN, np.int8)
    seen: set[int] = set()
    for entry in entries.rows:
        row = np.array([_state(entry, place, entries, log) for place in places], np.int8)
        if entry.image in seen:
            row = _joined(states[entry.image], row, entry, entries, log)
        seen.add(entry.image)
        states[entry.image] = row
    for label, name in enumerate(names):
        if not (states[:, label] == _SHOWN).any():
            log.add("class-absent", f"no image shows the class {name!r}.", file=entries.file, severity="note")
    return names, states


def _chosen_columns(entries: Entries, options: ReadOptions) -> list[int]:
    if options.classes is None:
        return list(range(len(entries.columns)))
    for name in options.classes:
        if name not in entries.columns:
            hint = did_you_mean(name, entries.columns)
            message = f"a column for each class was expected; there is none for {name!r}.{hint}"
            raise DatasetError(message, file=entries.file, line=1)
    return [entries.columns.index(name) for name in options.classes]


def _state(entry: Entry, place: int, entries: Entries, log: ProblemLog) -> int:
    cell = entry.cells[place]
    text = cell.lower() if isinstance(cell, str) else ""
    if text in TRUE_WORDS or text in FALSE_WORDS:
        return _SHOWN if text in TRUE_WORDS else _NOT_SHOWN
    if text in ("-1", "-1.0"):
        message = (
            f"0 or 1 was expected in {entries.columns[place]!r}; got -1, which means 'not shown' in some data sets and "
            "'not sure' in others. Write 0 for the first, and leave the cell empty for the second."
        )
        raise DatasetError(message, file=entry.file, line=entry.line)
    if text not in MISSING_WORDS or isinstance(cell, tuple):
        message = f"0, 1 or nothing was expected in {entries.columns[place]!r}; got {cell!r}; kept as unknown."
        log.add(
            "annotation-unreadable", message, file=entry.file, line=entry.line, severity="error", fix="write 0 or 1"
        )
    return _UNKNOWN


def _joined(before: States, row: States, entry: Entry, entries: Entries, log: ProblemLog) -> States:
    """Return what two rows of one image say together; where they contradict, nothing is known."""
    contradict = (before != row) & (before != _UNKNOWN) & (row != _UNKNOWN)
    told = "; left out"
    if contradict.any():
        names = ", ".join(entries.columns[place] for place in np.flatnonzero(contradict)[:5])
        told = f", and contradicts it in {names}, which are kept as unknown"
    message = f"{entries.paths[entry.image]} is listed above{told}."
    severity: Severity = "error" if contradict.any() else "warning"
    log.add(
        "image-duplicate", message, file=entry.file, line=entry.line, severity=severity, fix="list every image once"
    )
    either = np.where(before == _UNKNOWN, row, before)
    return np.asarray(np.where(contradict, _UNKNOWN, either), np.int8)
