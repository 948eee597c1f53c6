"""Tables as they are written: a header and rows of cells, from CSV, TSV or JSON lines."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snellen.data.images import is_image_name
from snellen.errors import DatasetError

__all__ = [
    "Cell",
    "RawTable",
    "Row",
    "are_several_rows",
    "csv_table",
    "delimiter_of",
    "first_cells",
    "joined_table",
    "json_lines_table",
]

# Of the images, listed more than once: mistakes are rarer. Northcutt et al. 2021, "Pervasive label errors in test
# sets", find 3.3 % of labels wrong on average.
_SEVERAL_ROWS_SHARE = 0.05
_SEVERAL_ROWS = 3  # images, likewise
Cell = str | tuple[str, ...]  # a text, or the texts of a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The cells of one row.

    Attributes:
        line: On which it stands, counted from 1.
        cells: Texts.
        file: In which it stands, where a table was put together from several; None for that of the table.
    """

    line: int
    cells: tuple[Cell, ...]
    file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """A table of one file.

    Attributes:
        file: Where it was read from.
        columns: Names as written; empty texts where the file has no header.
        rows: Without the header and without empty lines; may be shorter than ``columns``.
        has_header: Whether the names were read.
    """

    file: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    has_header: bool

    def column(self, place: int) -> list[Cell]:
        """Return the cells of a column; an empty text where a row ends before it."""
        return [row.cells[place] if place < len(row.cells) else "" for row in self.rows]


def are_several_rows(num_repeated: int, num_images: int) -> bool:
    """Return whether so many images are listed more than once that a table has a row for each label."""
    return num_repeated >= max(_SEVERAL_ROWS, _SEVERAL_ROWS_SHARE * num_images)


def delimiter_of(file: Path) -> str:
    """Return what stands between the cells of a file: a tab in ``.tsv``, else the most frequent sign of line 1."""
    if file.suffix.lower() == ".tsv":
        return "\t"
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        line = text.readline()
    return max(",;\t|", key=line.count)


def first_cells(file: Path, count: int) -> list[list[str]]:
    """Return the cells of the first ``count`` lines of a CSV file, whatever its encoding."""
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        lines = [line for line in (text.readline() for _ in range(count)) if line]
    try:
        return [[cell.strip() for cell in cells] for cells in csv.reader(lines, delimiter=delimiter_of(file))]
    except csv.Error:
        return []


def csv_table(file: Path) -> RawTable:
    """Return the table of a CSV or TSV file. Without a header, the first cell of line 1 is the name of an image.

    Raises:
        DatasetError: If it is no text in UTF-8, or cannot be parsed.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, delimiter=delimiter_of(file))
            rows = [
                Row(line=reader.line_num, cells=tuple(cell.strip() for cell in cells)) for cells in reader if any(cells)
            ]
    except UnicodeDecodeError as error:
        message = f"text in UTF-8 was expected, but byte {error.start} is not. Save the table as UTF-8."
        raise DatasetError(message, file=file) from error
    except csv.Error as error:
        raise DatasetError(f"the table cannot be parsed ({error}). Save it again.", file=file) from error
    first = [str(cell) for cell in rows[0].cells] if rows else []
    if first and is_image_name(Path(first[0]).name):
        return RawTable(file=file, columns=("",) * len(first), rows=tuple(rows), has_header=False)
    return RawTable(file=file, columns=tuple(first), rows=tuple(rows[1:]), has_header=True)


def joined_table(tables: Mapping[str, RawTable], column: str) -> RawTable:
    """Return tables of the same columns as one, with a further column that holds the name of each."""
    first = next(iter(tables.values()))
    width = len(first.columns)
    rows = tuple(
        replace(row, cells=(*row.cells[:width], *("",) * (width - len(row.cells)), name), file=table.file)
        for name, table in tables.items()
        for row in table.rows
    )
    return RawTable(file=first.file, columns=(*first.columns, column), rows=rows, has_header=True)


def json_lines_table(file: Path) -> RawTable:
    """Return the table of a file with one JSON object on each line; keys are columns, inner objects too.

    Raises:
        DatasetError: If a line is no JSON object; names the line.
    """
    entries: list[tuple[int, Mapping[str, Cell]]] = []
    columns: dict[str, None] = {}
    try:
        for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
            if line.strip():
                entry = dict(_flat(_object(line, file, number), file, number))
                entries.append((number, entry))
                columns |= dict.fromkeys(entry)
    except UnicodeDecodeError as error:
        message = f"text in UTF-8 was expected, but byte {error.start} is not. Save the file as UTF-8."
        raise DatasetError(message, file=file) from error
    rows = tuple(Row(line=number, cells=tuple(entry.get(name, "") for name in columns)) for number, entry in entries)
    return RawTable(file=file, columns=tuple(columns), rows=rows, has_header=True)


def _object(line: str, file: Path, number: int) -> Mapping[str, Any]:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        message = f"a JSON object was expected ({error.msg} at column {error.colno}). Correct the line."
        raise DatasetError(message, file=file, line=number) from error
    if not isinstance(entry, dict):
        message = f'a JSON object such as {{"file": "a.jpg", "labels": ["cat"]}} was expected; got {line.strip()[:60]}.'
        raise DatasetError(message, file=file, line=number)
    return entry


def _flat(entry: Mapping[str, Any], file: Path, number: int) -> list[tuple[str, Cell]]:
    cells: list[tuple[str, Cell]] = []
    for key, value in entry.items():
        if isinstance(value, dict):
            cells += _flat(value, file, number)
        elif isinstance(value, list):
            cells.append((key, _texts(value, key, file, number)))
        else:
            cells.append((key, _text(value)))
    return cells


def _texts(values: Sequence[Any], key: str, file: Path, number: int) -> tuple[str, ...]:
    if any(isinstance(value, dict | list) for value in values):
        message = f"a list of names was expected under {key!r}; got a list of lists or objects. Write names."
        raise DatasetError(message, file=file, line=number)
    return tuple(_text(value) for value in values)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return value.strip() if isinstance(value, str) else repr(value)
