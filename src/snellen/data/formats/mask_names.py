"""Names, colours and ignored values of the classes of label images, as files beside the images state them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from snellen.data.formats.files import read_lines
from snellen.data.formats.options import ReadOptions
from snellen.errors import DatasetError

__all__ = ["MaskNames", "stated_names"]

NAME_FILES = ("classes.txt", "labels.txt", "label_colors.txt", "class_names.txt")
OTHER_SHAPE = "masks_of_other_shape"  # key of snellen.yaml, whose only value is STRETCH
STRETCH = "stretch"
JSON_FILES = ("classes.json", "labels.json", "class_dict.json", "id2label.json")


@dataclass(frozen=True)
class MaskNames:
    """What is stated about the values of label images.

    Attributes:
        names: Raw value → name.
        ignore: Raw values that count for nothing.
        coloured: Whether raw values are colours.
        stretch: Whether label images of another aspect than their images are stretched to them.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    ignore: frozenset[int] = frozenset()
    coloured: bool = False
    stretch: bool = False


def stated_names(path: Path, options: ReadOptions) -> MaskNames:
    """Return what ``snellen.yaml``, a JSON file or a list of names in a folder says.

    Raises:
        DatasetError: If such a file is broken.
    """
    settings_file = path / "snellen.yaml"
    ignore: frozenset[int] = frozenset()
    stretch = False
    if settings_file.is_file():
        settings = _settings(settings_file)
        value = settings.get("ignore_index")
        ignore = frozenset() if value is None else frozenset({int(value)})
        stretch = settings.get(OTHER_SHAPE) == STRETCH
        if settings.get("classes"):
            stated = _from_lines([str(name) for name in settings["classes"]])
            return replace(stated, ignore=ignore | stated.ignore, stretch=stretch)
    if options.classes is not None:
        return MaskNames(ignore=ignore, stretch=stretch)
    for name in JSON_FILES:
        if (path / name).is_file():
            return replace(_from_json(path / name), ignore=ignore, stretch=stretch)
    for name in NAME_FILES:
        if (path / name).is_file():
            stated = _from_lines(read_lines(path / name))
            return replace(stated, ignore=ignore | stated.ignore, stretch=stretch)
    return MaskNames(ignore=ignore, stretch=stretch)


def _settings(file: Path) -> Mapping[str, Any]:
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
        ignore = settings.get("ignore_index") if isinstance(settings, dict) else "no keys"
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise DatasetError(
            f"the file is not valid YAML ({getattr(error, 'problem', error)}). Correct it.",
            file=file,
            line=None if mark is None else mark.line + 1,
        ) from error
    if ignore is not None and not isinstance(ignore, int):
        message = f"keys classes (a list) and ignore_index (a whole number) were expected; got {ignore!r}. Correct it."
        raise DatasetError(message, file=file)
    if settings.get(OTHER_SHAPE, STRETCH) != STRETCH:
        message = f"the key {OTHER_SHAPE} must be {STRETCH} or left out; got {settings[OTHER_SHAPE]!r}. Correct it."
        raise DatasetError(message, file=file)
    checked: Mapping[str, Any] = settings
    return checked


def _from_lines(lines: Iterable[str]) -> MaskNames:
    """Return names in order, or by the colour that ends each line; void and ignore count for nothing."""
    names: dict[int, str] = {}
    coloured = False
    for line in filter(None, lines):
        words = line.replace(",", " ").split()
        if len(words) >= 4 and all(word.isdigit() for word in words[-3:]):
            red, green, blue = map(int, words[-3:])
            names[red << 16 | green << 8 | blue] = " ".join(words[:-3])
            coloured = True
        elif not line.startswith("#"):
            names[len(names)] = line
    ignore = frozenset(value for value, name in names.items() if name.lower() in ("void", "ignore", "unlabelled"))
    return MaskNames(names, ignore, coloured)


def _from_json(file: Path) -> MaskNames:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"the file is not valid JSON ({error.msg}). Correct it.", file=file, line=error.lineno
        ) from error
    if isinstance(content, list):
        return _from_lines([str(name) for name in content])
    if isinstance(content, dict) and all(key.isdigit() for key in content):
        return MaskNames({int(key): str(name) for key, name in content.items()})
    if isinstance(content, dict) and all(isinstance(value, int) for value in content.values()):
        return MaskNames({value: name for name, value in content.items()})
    message = 'names of classes were expected, as ["sky", …], {"0": "sky"} or {"sky": 0}. Rewrite it.'
    raise DatasetError(message, file=file)
