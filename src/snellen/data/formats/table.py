"""CSV: one row per image with its path and its class, and, where they are there, its split and its group.

The header is recognised by the usual names (``path``, ``image``, ``filename``; ``label``, ``class``;
``split``, ``subset``; ``group``, ``patient``). A file without header has the path first and the label
second. Further columns become attributes.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from snellen.data.formats.files import FileFinder, relative, split_codes, split_name
from snellen.data.formats.options import ReadOptions
from snellen.data.images import is_image_name
from snellen.data.index import DatasetIndex
from snellen.data.problems import ProblemLog
from snellen.data.sharing import Strings
from snellen.data.tables import ClassTable
from snellen.errors import DatasetError

__all__ = ["is_csv", "read_csv"]

SUFFIXES = (".csv", ".tsv")
COLUMNS = {
    "path": (
        "path",
        "file",
        "filename",
        "file_name",
        "filepath",
        "file_path",
        "image",
        "image_path",
        "img",
        "name",
        "image_id",
    ),
    "label": ("label", "class", "class_name", "category", "target", "y", "diagnosis"),
    "split": ("split", "subset", "set", "fold", "partition"),
    "group": ("group", "group_id", "patient", "patient_id", "subject", "subject_id", "case", "source"),
}
PREFERRED = ("labels.csv", "index.csv", "train.csv", "annotations.csv", "data.csv", "metadata.csv")


@dataclass
class _Rows:
    paths: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    others: list[tuple[str, ...]] = field(default_factory=list)


def is_csv(path: Path) -> bool:
    """Return whether it is a table with a column of image paths, or a folder with one."""
    file = _file(path)
    return file is not None


def read_csv(path: Path, options: ReadOptions) -> DatasetIndex:
    """Return the index of a table of image paths and labels.

    Raises:
        DatasetError: If no column of paths or of labels is recognised, or no row has an image.
    """
    file = _file(path) or path
    if file.is_dir():
        raise DatasetError(
            "a .csv file with a column of image paths was expected; none is there. Write one.", file=path
        )
    lines = _lines(file)
    columns, header = _columns(lines[0] if lines else [], file)
    log = ProblemLog()
    finder = FileFinder(_image_folders(file, options))
    others = [place for place in range(len(header)) if header and place not in columns.values()]
    rows = _Rows()
    seen: set[str] = set()
    for number, cells in enumerate(lines, 1):
        if cells and not (header and number == 1):
            _read_row(cells, number, columns, others, file, finder, seen, rows, log)
    if not rows.paths:
        first = next(iter(log.result()), "")
        message = f"rows with image paths were expected; no row has an image file. {first} Give the image folder."
        raise DatasetError(message, file=file)
    return _index(rows, [header[place] for place in others], options, file, log)


def _file(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() in SUFFIXES and _has_paths(path) else None
    found = [path / name for name in PREFERRED if (path / name).is_file()]
    found += sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file not in found)
    return next((file for file in found if _has_paths(file)), None)


def _has_paths(file: Path) -> bool:
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        first = next(csv.reader([text.readline()], delimiter=_delimiter(file)), [])
    names = [cell.strip().lower() for cell in first]
    header = any(name in COLUMNS["path"] for name in names) and any(name in COLUMNS["label"] for name in names)
    return header or bool(len(first) >= 2 and is_image_name(Path(first[0].strip()).name))


def _delimiter(file: Path) -> str:
    if file.suffix.lower() == ".tsv":
        return "\t"
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        line = text.readline()
    return max(",;\t|", key=line.count)


def _lines(file: Path) -> list[list[str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            return [[cell.strip() for cell in cells] for cells in csv.reader(text, delimiter=_delimiter(file))]
    except UnicodeDecodeError as error:
        message = f"text in UTF-8 was expected, but byte {error.start} is not. Save the table as UTF-8."
        raise DatasetError(message, file=file) from error
    except csv.Error as error:
        raise DatasetError(f"the table cannot be parsed ({error}). Save it again.", file=file) from error


def _columns(first: Sequence[str], file: Path) -> tuple[dict[str, int], list[str]]:
    names = [cell.lower() for cell in first]
    columns = {
        role: next(names.index(name) for name in synonyms if name in names)
        for role, synonyms in COLUMNS.items()
        if any(name in names for name in synonyms)
    }
    if {"path", "label"} <= set(columns):
        return columns, list(first)
    if len(first) >= 2 and is_image_name(Path(first[0]).name):
        return {"path": 0, "label": 1}, []
    message = (
        f"a header with a column of paths ({', '.join(COLUMNS['path'][:4])}, …) and one of labels "
        f"({', '.join(COLUMNS['label'][:4])}, …) was expected; got {list(first)}. Rename the columns."
    )
    raise DatasetError(message, file=file, line=1)


def _image_folders(file: Path, options: ReadOptions) -> list[Path]:
    if options.images is not None:
        return [options.images]
    return [file.parent, *(file.parent / name for name in ("images", "imgs", "data", file.stem, "train"))]


def _read_row(  # noqa: PLR0913, PLR0917  # the state of one pass over the table
    cells: Sequence[str],
    number: int,
    columns: dict[str, int],
    others: Sequence[int],
    file: Path,
    finder: FileFinder,
    seen: set[str],
    rows: _Rows,
    log: ProblemLog,
) -> None:
    if len(cells) <= max(columns.values()):
        message = f"{max(columns.values()) + 1} cells were expected; got {len(cells)}; left out."
        log.add("row-short", message, file=file, line=number, severity="error", fix="fill the row")
        return
    name = cells[columns["path"]]
    found = finder.find(name) or finder.find_stem(name)
    if found is None:
        message = f"the image {name!r} does not exist; left out."
        fix = "put the file there"
        log.add("image-missing", message, file=file, line=number, severity="error", fix=fix, subject=name)
        return
    path = relative(found, file.parent)
    if path in seen:
        log.add(
            "image-duplicate",
            f"{name} is listed above; left out.",
            file=file,
            line=number,
            fix="delete the row",
        )
        return
    seen.add(path)
    label = cells[columns["label"]]
    if not label:
        log.add("label-missing", f"{name} has no label; kept as unknown.", file=file, line=number, fix="label it")
    split = cells[columns["split"]] if "split" in columns else ""
    rows.paths.append(path)
    rows.labels.append(label)
    rows.splits.append(split_name(split) or split)
    rows.groups.append(cells[columns["group"]] if "group" in columns else "")
    rows.others.append(tuple(cells[place] if place < len(cells) else "" for place in others))


def _index(rows: _Rows, other_names: Sequence[str], options: ReadOptions, file: Path, log: ProblemLog) -> DatasetIndex:
    names = options.classes or tuple(sorted(set(rows.labels) - {""}, key=_number_first))
    label_of = {name: label for label, name in enumerate(names)} | {"": -1}
    for label in sorted(set(rows.labels) - set(label_of)):
        count = rows.labels.count(label)
        log.add("class-unknown", f"the label {label!r} is no class; kept as unknown.", file=file, count=count)
    splits, split_names = split_codes(rows.splits)
    return DatasetIndex(
        root=file.parent,
        format="csv",
        classes=names,
        paths=Strings.pack(rows.paths),
        annotations=ClassTable(labels=np.array([label_of.get(label, -1) for label in rows.labels], np.int32)),
        sizes=np.zeros((len(rows.paths), 2), np.int32),
        splits=splits,
        split_names=split_names,
        groups=np.unique(rows.groups, return_inverse=True)[1].astype(np.int32) if any(rows.groups) else None,
        attributes={
            name: np.array([row[place] for row in rows.others]) for place, name in enumerate(other_names) if name
        },
        problems=log.result(),
    )


def _number_first(name: str) -> tuple[bool, float, str]:
    """Order 2 before 10, and numbers before words."""
    return (not name.isdigit(), float(name) if name.isdigit() else 0.0, name)
