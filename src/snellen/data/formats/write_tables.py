"""Writing what is said of whole images as CSV or JSON lines, with ``snellen.yaml`` beside it. Images are copied."""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import yaml

from snellen.data.formats.options import task_of
from snellen.data.formats.stated import SETTINGS_FILE
from snellen.data.formats.table_label_sets import SEPARATORS, UNKNOWN_SIGN
from snellen.data.formats.write_files import copied, empty_folder, file_names, split_of
from snellen.data.index import DatasetIndex
from snellen.data.tables import ClassTable, LabelSetTable, ValueTable
from snellen.errors import InputError
from snellen.structures import ClassTarget, LabelSetTarget, Target, ValueTarget

__all__ = ["write_csv", "write_json_lines"]

Said = Callable[[DatasetIndex, int], dict[str, Any]]  # of a row of an index


def write_csv(index: DatasetIndex, folder: Path) -> None:
    """Write ``labels.csv`` (path, label or labels or values, split, group, attributes), ``snellen.yaml``, ``images``.

    Raises:
        InputError: If the data set has nothing said of whole images, a class name cannot stand in a list of names, or
            the folder is not empty.
    """
    said = _said(index, "csv")
    separator = _separator(index)
    empty_folder(folder)
    rows = []
    for row, name in enumerate(file_names(index)):
        copied(index.path(row), folder / "images" / name)
        cells = {key: _cell(value, separator) for key, value in said(index, row).items()}
        rows.append({"path": f"images/{name}", **cells, **_facts(index, row)})
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["path"])
        writer.writeheader()
        writer.writerows(rows)
    _write_settings(index, folder, {"separator": separator} if separator else {})


def write_json_lines(index: DatasetIndex, folder: Path) -> None:
    """Write ``labels.jsonl`` (an object for each image), ``snellen.yaml`` and ``images``.

    Raises:
        InputError: If the data set has nothing said of whole images, or the folder is not empty.
    """
    said = _said(index, "jsonl")
    empty_folder(folder)
    with (folder / "labels.jsonl").open("w", encoding="utf-8") as file:
        for row, name in enumerate(file_names(index)):
            copied(index.path(row), folder / "images" / name)
            entry = {"path": f"images/{name}", **said(index, row), **_facts(index, row)}
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
    _write_settings(index, folder, {})


def _class(index: DatasetIndex, row: int) -> dict[str, Any]:
    table = index.annotations
    label = int(table.labels[row]) if isinstance(table, ClassTable) else -1
    return {"label": index.classes[label] if label >= 0 else ""}


def _label_set(index: DatasetIndex, row: int) -> dict[str, Any]:
    target = index.target(row, (0, 0))
    if not isinstance(target, LabelSetTarget) or not target.known.any():
        return {"labels": [UNKNOWN_SIGN]}
    shown = [name for name, is_shown in zip(index.classes, target.shown.tolist(), strict=True) if is_shown]
    unknown = [name for name, is_known in zip(index.classes, target.known.tolist(), strict=True) if not is_known]
    return {"labels": [*shown, *(UNKNOWN_SIGN + name for name in unknown)]}


def _values(index: DatasetIndex, row: int) -> dict[str, Any]:
    table = index.annotations
    numbers = table.values[row].tolist() if isinstance(table, ValueTable) else []
    return {name: value if np.isfinite(value) else None for name, value in zip(index.classes, numbers, strict=True)}


_SAID: Mapping[type[Target], Said] = MappingProxyType(
    {ClassTarget: _class, LabelSetTarget: _label_set, ValueTarget: _values}
)


def _said(index: DatasetIndex, format_name: str) -> Said:
    if index.target_type not in _SAID:
        words = ", ".join(task_of(kind) for kind in _SAID)
        raise InputError(
            f"the format {format_name} holds what is said of whole images ({words}); the data set has "
            f"{task_of(index.target_type)}. Choose a format for it."
        )
    return _SAID[index.target_type]


def _separator(index: DatasetIndex) -> str:
    """Return a sign that no class name holds; an empty text where none is needed.

    Raises:
        InputError: If there is none, or a name begins with the sign of unknown labels.
    """
    if not isinstance(index.annotations, LabelSetTable):
        return ""
    for name in index.classes:
        if name.startswith(UNKNOWN_SIGN):
            raise InputError(f"the name of a class must not begin with {UNKNOWN_SIGN}; got {name!r}. Rename it.")
    free = [sign for sign in SEPARATORS if not any(sign in name for name in index.classes)]
    if not free:
        raise InputError(f"class names hold each of {' '.join(SEPARATORS)}, so that none separates them. Use jsonl.")
    return free[0]


def _cell(value: Any, separator: str) -> Any:
    if isinstance(value, list):
        return separator.join(value)
    return repr(value) if isinstance(value, float) else value


def _facts(index: DatasetIndex, row: int) -> dict[str, Any]:
    group = {} if index.groups is None else {"group": int(index.groups[row])}
    others = {name: str(values[row]) for name, values in index.attributes.items()}
    return {"split": split_of(index, row), **group, **others}


def _write_settings(index: DatasetIndex, folder: Path, more: Mapping[str, Any]) -> None:
    """State what reading would have to ask for."""
    is_value = isinstance(index.annotations, ValueTable)
    names = {"columns" if is_value else "classes": list(index.classes)}
    settings = {"task": task_of(index.target_type), **names, **more}
    (folder / SETTINGS_FILE).write_text(yaml.safe_dump(settings, allow_unicode=True, sort_keys=False), encoding="utf-8")
