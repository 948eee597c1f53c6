"""``snellen.yaml`` beside a table: what the table leaves open, stated once for everybody who reads it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from snellen.data.formats.options import TASKS, ReadOptions
from snellen.errors import DatasetError, did_you_mean

__all__ = ["SETTINGS_FILE", "with_stated"]

SETTINGS_FILE = "snellen.yaml"
_LISTS = ("classes", "columns")
_TEXTS = ("task", "separator")


def with_stated(options: ReadOptions, folder: Path) -> ReadOptions:
    """Return options with what ``snellen.yaml`` in a folder says; what the caller gave wins.

    The keys are ``classes`` and ``columns`` (lists), ``task`` and ``separator`` (texts); others are of other readers.

    Raises:
        DatasetError: If the file is no YAML, or a key holds something else.
    """
    file = folder / SETTINGS_FILE
    if not file.is_file():
        return options
    stated = _checked(_read(file), file)
    return replace(options, **{name: value for name, value in stated.items() if getattr(options, name) is None})


def _read(file: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise DatasetError(
            f"the file is not valid YAML ({getattr(error, 'problem', error)}). Correct it.",
            file=file,
            line=None if mark is None else mark.line + 1,
        ) from error
    if not isinstance(content, dict):
        raise DatasetError("keys such as task and classes were expected; there are none. Correct it.", file=file)
    return content


def _checked(content: Mapping[str, Any], file: Path) -> dict[str, Any]:
    stated: dict[str, Any] = {}
    for name in _LISTS:
        if content.get(name) is not None:
            value = content[name]
            if not isinstance(value, list) or not value:
                raise DatasetError(f"{name} must be a list of names; got {value!r}. Correct it.", file=file)
            stated[name] = tuple(str(entry) for entry in value)
    for name in _TEXTS:
        if content.get(name) is not None:
            stated[name] = str(content[name])
    task = stated.get("task")
    if task is not None and task not in TASKS:
        message = f"task must be one of {', '.join(TASKS)}; got {task!r}.{did_you_mean(task, TASKS)}"
        raise DatasetError(message, file=file)
    return stated
