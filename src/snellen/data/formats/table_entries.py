"""Rows of a table with the image that each is about."""

from dataclasses import dataclass
from pathlib import Path

from snellen.data.formats.files import FileFinder, relative, split_name
from snellen.data.formats.table_roles import Roles
from snellen.data.formats.table_rows import Cell, RawTable, Row
from snellen.data.problems import ProblemLog

__all__ = ["Entries", "Entry", "entries_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one row says of an image.

    Attributes:
        image: Position among the images.
        file: In which it stands.
        line: Of the file, from 1.
        cells: Of the annotated columns.
    """

    image: int
    file: Path
    line: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """The rows of a table whose images exist, and what is said of the images beside their annotations.

    Attributes:
        file: The table.
        columns: Names of the annotated columns.
        paths: Image files relative to the folder of the table, each once.
        splits: Name of the split of each image; empty where none is said.
        groups: Text of the group of each image.
        others: Of each image, the cells without a role, in the order of ``other_names``.
        other_names: Of the columns without a role.
        rows: In the order of the file; an image can have several.
    """

    file: Path
    columns: tuple[str, ...]
    paths: tuple[str, ...]
    splits: tuple[str, ...]
    groups: tuple[str, ...]
    others: tuple[tuple[str, ...], ...]
    other_names: tuple[str, ...]
    rows: tuple[Entry, ...]

    @property
    def num_images(self) -> int:
        """The number of images."""
        return len(self.paths)


def entries_of(table: RawTable, roles: Roles, finder: FileFinder, log: ProblemLog) -> Entries:
    """Return the rows whose images are found; the others are told."""
    last = max(roles.path, *roles.annotated, roles.split or 0, roles.group or 0)
    others = [place for place in range(len(table.columns)) if place not in roles.all and table.columns[place]]
    image_of: dict[str, int] = {}
    firsts: list[Row] = []
    entries: list[Entry] = []
    for row in table.rows:
        path = _image(row, last, roles, row.file or table.file, finder, log)
        if path is None:
            continue
        if path not in image_of:
            image_of[path] = len(firsts)
            firsts.append(row)
        cells = tuple(row.cells[place] for place in roles.annotated)
        entries.append(Entry(image=image_of[path], file=row.file or table.file, line=row.line, cells=cells))
    return Entries(
        file=table.file,
        columns=tuple(table.columns[place] or "value" for place in roles.annotated),  # without a header
        paths=tuple(image_of),
        splits=tuple(_split(_cell(row, roles.split)) for row in firsts),
        groups=tuple(_cell(row, roles.group) for row in firsts),
        others=tuple(tuple(_cell(row, place) for place in others) for row in firsts),
        other_names=tuple(table.columns[place] for place in others),
        rows=tuple(entries),
    )


def _image(row: Row, last: int, roles: Roles, file: Path, finder: FileFinder, log: ProblemLog) -> str | None:
    """Return the image of a row relative to the folder of the table, or None, which is told."""
    if len(row.cells) <= last:
        message = f"{last + 1} cells were expected; got {len(row.cells)}; left out."
        log.add("row-short", message, file=file, line=row.line, severity="error", fix="fill the row")
        return None
    name = _cell(row, roles.path)
    found = finder.find(name) or finder.find_stem(name)
    if found is None:
        message = f"the image {name!r} does not exist; left out."
        fix = "put the file there"
        log.add("image-missing", message, file=file, line=row.line, severity="error", fix=fix, subject=name)
        return None
    return relative(found, file.parent)


def _cell(row: Row, place: int | None) -> str:
    if place is None or place >= len(row.cells):
        return ""
    cell = row.cells[place]
    return cell if isinstance(cell, str) else ";".join(cell)


def _split(text: str) -> str:
    return split_name(text) or text
