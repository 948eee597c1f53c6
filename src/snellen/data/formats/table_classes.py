"""From the cells of a table to one class for each image."""

from collections.abc import Sequence

import numpy as np

from snellen.data.formats.options import ReadOptions
from snellen.data.formats.rows import Place
from snellen.data.formats.table_entries import Entries
from snellen.data.formats.table_numbers import is_number
from snellen.data.problems import ProblemLog
from snellen.data.tables import ClassTable
from snellen.errors import DatasetError, did_you_mean

__all__ = ["class_names", "class_table"]


def class_table(entries: Entries, options: ReadOptions, log: ProblemLog) -> tuple[tuple[str, ...], ClassTable]:
    """Return the names of the classes, and the class of each image; the first where it is listed more than once."""
    texts = [str(entry.cells[0]) for entry in entries.rows]
    names, label_of = class_names(texts, entries, options, log)
    labels = np.full(entries.num_images, -1, np.int32)
    kept: dict[int, str] = {}
    for entry, text in zip(entries.rows, texts, strict=True):
        path = entries.paths[entry.image]
        if entry.image in kept:
            _tell_repeated(path, kept[entry.image], text, Place(str(entry.file), entry.line), log)
            continue
        kept[entry.image] = text
        if not text:
            message = f"{path} has no label; kept as unknown."
            log.add("label-missing", message, file=entry.file, line=entry.line, fix="label it")
        elif text not in label_of:
            message = f"the label {text!r} of {path} is no class; kept as unknown."
            fix = f"correct the label.{did_you_mean(text, names)}"
            log.add("class-unknown", message, file=entry.file, line=entry.line, fix=fix)
        else:
            labels[entry.image] = label_of[text]
    return names, ClassTable(labels=labels)


def _tell_repeated(path: str, before: str, text: str, place: Place, log: ProblemLog) -> None:
    if text == before:
        message, fix = f"{path} is listed above; left out.", "delete the row"
        log.add("image-duplicate", message, file=place.file, line=place.line, fix=fix)
        return
    message = f"{path} is listed above as {before!r}, and here as {text!r}; the first is kept."
    fix = "keep the right row, or read the table with --task label_set"
    log.add("image-duplicate", message, file=place.file, line=place.line, fix=fix, severity="error")


def class_names(
    texts: Sequence[str], entries: Entries, options: ReadOptions, log: ProblemLog
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the names of the classes, and the label of each text: a name, or a number where the names are given.

    Args:
        texts: All labels that occur; empty ones count for nothing.
        entries: For messages.
        options: ``classes`` are the names in label order; without them the texts are the names, sorted.
        log: Is told of numbers that are taken as places in the names, and of names that do not occur.

    Raises:
        DatasetError: If the labels are numbers that do not count from 0.
    """
    found = set(texts) - {""}
    if options.classes is None:
        names = tuple(sorted(found, key=_number_first))
        return names, {name: label for label, name in enumerate(names)}
    names = options.classes
    label_of = {name: label for label, name in enumerate(names)}
    if found and not found & set(names) and all(is_number(text) and float(text).is_integer() for text in found):
        label_of = _numbered(found, names, entries, log)
    for name in names:
        if not any(text in found for text, label in label_of.items() if names[label] == name):
            log.add("class-absent", f"no image has the class {name!r}.", file=entries.file, severity="note")
    return names, label_of


def _numbered(found: set[str], names: Sequence[str], entries: Entries, log: ProblemLog) -> dict[str, int]:
    numbers = sorted(int(float(text)) for text in found)
    low, high = numbers[0], numbers[-1]
    if low != 0 or high >= len(names):
        hint = "They seem to count from 1. " if low == 1 else ""
        message = (
            f"labels must be one of the {len(names)} names of classes, or their places 0..{len(names) - 1}; the table "
            f"has numbers from {low} to {high}. {hint}Write names, or numbers that count from 0."
        )
        raise DatasetError(message, file=entries.file)
    message = f"the labels are numbers; they are taken as places in the {len(names)} names of classes, from 0 on."
    log.add("labels-numbered", message, file=entries.file, severity="note")
    return {text: int(float(text)) for text in found}


def _number_first(name: str) -> tuple[bool, float, str]:
    """Order 2 before 10, and numbers before words."""
    return (not name.isdigit(), float(name) if name.isdigit() else 0.0, name)
