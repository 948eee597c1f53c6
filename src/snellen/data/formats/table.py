"""Tables: rows with the path of an image and its class, its set of classes or its values, as CSV, TSV or JSON lines.

The header is recognised by the usual names (``path``, ``image``, ``filename``; ``label``, ``class``; ``labels``,
``tags``; ``split``, ``subset``; ``group``, ``patient``). Without a column called after labels, columns of 0 and 1 are
classes of label sets, and a single column of other numbers is a value. What can be read in more than one way is asked
for. A CSV file without header has the path first and the label second. Further columns become attributes. Several CSV
files of one folder that are named after splits (``train.csv``, ``val.csv``) and have the same columns are one table; of
others the first is read, and the rest is told. What ``snellen.yaml`` beside the table says of ``task``, ``classes``,
``columns`` and ``separator`` holds.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data.formats.files import FileFinder, split_codes, split_name
from snellen.data.formats.folders import is_folders
from snellen.data.formats.options import ReadOptions, task_of
from snellen.data.formats.stated import with_stated
from snellen.data.formats.table_classes import class_table
from snellen.data.formats.table_entries import Entries, entries_of
from snellen.data.formats.table_label_sets import label_set_table
from snellen.data.formats.table_numbers import are_flags, are_numbers
from snellen.data.formats.table_roles import (
    LABEL_COLUMNS,
    LABEL_SET_COLUMNS,
    PATH_COLUMNS,
    SPLIT_COLUMNS,
    plain_name,
    roles_of,
)
from snellen.data.formats.table_rows import RawTable, csv_table, first_cells, joined_table, json_lines_table
from snellen.data.formats.table_values import value_table
from snellen.data.images import is_image_name
from snellen.data.index import DatasetIndex
from snellen.data.problems import ProblemLog
from snellen.data.sharing import Strings
from snellen.data.tables import AnnotationTable
from snellen.errors import DatasetError
from snellen.structures import ClassTarget, LabelSetTarget, Target, ValueTarget

__all__ = ["is_csv", "is_json_lines", "read_csv", "read_json_lines"]

CSV_SUFFIXES = (".csv", ".tsv")
JSON_LINES_SUFFIXES = (".jsonl", ".ndjson")
PREFERRED = ("labels", "index", "train", "annotations", "data", "metadata")
_LOOKED_AT = 20  # lines of a table that decide whether columns without a telling name hold labels or values
_PEEK_BYTES = 1 << 16

# From rows to the names of classes (or values) and the annotations.
_CONTENTS: Mapping[type[Target], Callable[[Entries, ReadOptions, ProblemLog], tuple[tuple[str, ...], Any]]] = (
    MappingProxyType({ClassTarget: class_table, LabelSetTarget: label_set_table, ValueTarget: value_table})
)


def is_csv(path: Path) -> bool:
    """Return whether it is a table with a column of image paths, or a folder with one."""
    return _csv_file(path) is not None


def is_json_lines(path: Path) -> bool:
    """Return whether it is a file with a JSON object about an image on each line, or a folder with one."""
    return _json_lines_file(path) is not None


def read_csv(path: Path, options: ReadOptions) -> DatasetIndex:
    """Return the index of a table of image paths and labels or values.

    Raises:
        DatasetError: If no column of paths or of annotations is recognised, they can be read in more than one way, or
            no row has an image.
    """
    file = _csv_file(path) or path
    if file.is_dir():
        raise DatasetError(
            "a .csv file with a column of image paths was expected; none is there. Write one.", file=path
        )
    log = ProblemLog()
    if path.is_file():
        return _index(csv_table(file), options, "csv", [file], log)
    parts = _tables_of_splits(path)
    files = [part.file for part in parts.values()] or [file]
    _tell_unread(path, files, log)
    return _index(joined_table(parts, "split") if parts else csv_table(file), options, "csv", files, log)


def read_json_lines(path: Path, options: ReadOptions) -> DatasetIndex:
    """Return the index of a file with one JSON object for each image.

    Raises:
        DatasetError: As `read_csv`, and if a line is no JSON object.
    """
    file = _json_lines_file(path) or path
    if file.is_dir():
        raise DatasetError("a .jsonl file about images was expected; none is there. Write one.", file=path)
    return _index(json_lines_table(file), options, "jsonl", [file], ProblemLog())


def _csv_file(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() in CSV_SUFFIXES and _has_paths(path) else None
    files = _candidates(path, CSV_SUFFIXES)
    telling = next((file for file in files if _has_labels(file)), None)
    if telling is not None or not files or is_folders(path):
        return telling
    return next((file for file in files if _has_numbers_of_images(file)), None)


def _tables_of_splits(folder: Path) -> dict[str, RawTable]:
    """Return the tables of a folder that are named after splits and have the same columns; none if they are not two."""
    files = [file for file in _candidates(folder, CSV_SUFFIXES) if split_name(file.stem) and _has_labels(file)]
    tables = {split_name(file.stem) or "": csv_table(file) for file in files}
    columns = {tuple(map(plain_name, table.columns)) for table in tables.values()}
    if len(files) < 2 or len(tables) < len(files) or len(columns) > 1:
        return {}
    is_plain = all(table.has_header for table in tables.values()) and not set(columns.pop()) & set(SPLIT_COLUMNS)
    return tables if is_plain else {}


def _tell_unread(folder: Path, read: Sequence[Path], log: ProblemLog) -> None:
    names = ", ".join(file.name for file in read)
    for file in _candidates(folder, CSV_SUFFIXES):
        if file not in read and _has_paths(file):
            has_labels = _has_labels(file)
            told = "labels too" if has_labels else "images, but no labels"
            message = f"this table names {told}; it was not read, but {names} was."
            fix = "name the table that is meant, put all rows into one with a column split, or move this one away"
            log.add("table-unread", message, file=file, fix=fix, severity="warning" if has_labels else "note")


def _json_lines_file(path: Path) -> Path | None:
    files = [path] if path.is_file() else _candidates(path, JSON_LINES_SUFFIXES)
    return next((file for file in files if file.suffix.lower() in JSON_LINES_SUFFIXES and _names_images(file)), None)


def _candidates(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the tables in a folder, those with usual names first."""
    files = [file for file in folder.iterdir() if file.is_file() and file.suffix.lower() in suffixes]
    rank = {name: place for place, name in enumerate(PREFERRED)}
    return sorted(files, key=lambda file: (rank.get(file.stem, len(PREFERRED)), file.name))


def _header(file: Path) -> list[str]:
    return [plain_name(cell) for cell in next(iter(first_cells(file, 1)), [])]


def _has_paths(file: Path) -> bool:
    first = _header(file)
    return len(first) > 1 and (any(name in PATH_COLUMNS for name in first) or is_image_name(Path(first[0]).name))


def _has_labels(file: Path) -> bool:
    first = _header(file)
    known = any(name in LABEL_COLUMNS or name in LABEL_SET_COLUMNS for name in first)
    return _has_paths(file) and (known or is_image_name(Path(first[0]).name))


def _has_numbers_of_images(file: Path) -> bool:
    """Return whether the first rows name images that exist and hold columns of 0 and 1 or of numbers."""
    rows = [row for row in first_cells(file, _LOOKED_AT) if row]
    if len(rows) < 2 or not _has_paths(file):
        return False
    names = [plain_name(cell) for cell in rows[0]]
    path = next(place for place, name in enumerate(names) if name in PATH_COLUMNS)
    finder = FileFinder(_image_folders([file], ReadOptions()))
    columns = [[row[place] if place < len(row) else "" for row in rows[1:]] for place in range(len(names))]
    if not any(name and (finder.find(name) or finder.find_stem(name)) for name in columns[path]):
        return False
    return any(are_flags(column) or are_numbers(column) for place, column in enumerate(columns) if place != path)


def _names_images(file: Path) -> bool:
    with file.open(encoding="utf-8-sig", errors="replace") as text:
        line = text.readline(_PEEK_BYTES)
    return line.lstrip().startswith("{") and any(f'"{name}"' in line for name in PATH_COLUMNS)


def _image_folders(files: Sequence[Path], options: ReadOptions) -> list[Path]:
    if options.images is not None:
        return [options.images]
    home = files[0].parent
    return [home, *(home / name for name in ("images", "imgs", "data", *(file.stem for file in files), "train"))]


def _index(
    table: RawTable, given: ReadOptions, format_name: str, files: Sequence[Path], log: ProblemLog
) -> DatasetIndex:
    options = with_stated(given, table.file.parent)
    roles = roles_of(table, options)
    if roles.reason:
        word = task_of(roles.target_type)
        message = f"read as task {word}, for {roles.reason}."
        fix = f"say so with --task {word}, or choose with --columns and --task"
        log.add("task-chosen", message, file=table.file, severity="note", fix=fix)
    entries = entries_of(table, roles, FileFinder(_image_folders(files, options)), log)
    if not entries.rows:
        first = next(iter(log.result()), "")
        message = f"rows with image paths were expected; no row has an image file. {first} Give the image folder."
        raise DatasetError(message, file=table.file)
    classes, annotations = _CONTENTS[roles.target_type](entries, options, log)
    return _assembled(entries, classes, annotations, format_name, log)


def _assembled(
    entries: Entries, classes: tuple[str, ...], annotations: AnnotationTable, format_name: str, log: ProblemLog
) -> DatasetIndex:
    splits, split_names = split_codes(entries.splits)
    return DatasetIndex(
        root=entries.file.parent,
        format=format_name,
        classes=classes,
        paths=Strings.pack(entries.paths),
        annotations=annotations,
        sizes=np.zeros((entries.num_images, 2), np.int32),
        splits=splits,
        split_names=split_names,
        groups=_groups(entries.groups) if any(entries.groups) else None,
        attributes={
            name: np.array([row[place] for row in entries.others]) for place, name in enumerate(entries.other_names)
        },
        problems=log.result(),
    )


def _groups(names: Sequence[str]) -> NDArray[np.int32]:
    """Return a number for each image, equal for equal names; an image without a name is a group of its own."""
    given, numbers = np.unique(names, return_inverse=True)
    unnamed = np.flatnonzero(np.array(names) == "")
    numbers[unnamed] = len(given) + np.arange(len(unnamed))
    return np.unique(numbers, return_inverse=True)[1].astype(np.int32)
