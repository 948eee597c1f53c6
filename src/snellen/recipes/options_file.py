"""Options of a training as a file: what ``snellen train --config`` reads and what treatments write."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from snellen.data import ReadOptions
from snellen.data.repairs import Repairs
from snellen.errors import ConfigError, did_you_mean
from snellen.recipes.options import TrainOptions
from snellen.recipes.parts import DataPart

__all__ = ["decoded", "encoded", "read_config", "write_config"]

_PATHS = ("weights", "folder")
_TUPLES = ("mean", "std", "milestones", "randaugment", "enhance")


def encoded(options: TrainOptions) -> dict[str, Any]:
    """Return options as JSON and YAML take them; what has its default is left out."""
    given = {entry.name: getattr(options, entry.name) for entry in fields(options)}
    usual = TrainOptions()
    return {name: _plain(value) for name, value in given.items() if value != getattr(usual, name)}


def decoded(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords of ``train`` from what ``encoded`` made of options.

    Raises:
        ConfigError: If an entry is of another kind.
    """
    told = dict(saved)
    for name in _PATHS:
        if told.get(name) is not None:
            told[name] = Path(told[name])
    for name in _TUPLES:
        if isinstance(told.get(name), list):
            told[name] = tuple(told[name])
    for name, make in (("read", _read_options), ("part", _part), ("repairs", Repairs.from_record)):
        if isinstance(told.get(name), Mapping):
            told[name] = make(told[name])
    return told


def write_config(file: Path, data: Path | str, options: TrainOptions, *, heading: str = "") -> Path:
    """Write what ``snellen train --config FILE`` repeats: the data set and all options that are not left open.

    Args:
        file: Is written, YAML.
        data: Path of the data set, or the name of built-in charts.
        options: The folder is left out.
        heading: Line that says where it comes from.
    """
    told = {"data": str(data), **{name: value for name, value in encoded(options).items() if name != "folder"}}
    text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, default_flow_style=False, width=120)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"# {heading}\n{text}" if heading else text, encoding="utf-8")
    return file


def read_config(file: Path | str) -> dict[str, Any]:
    """Return keywords of ``train`` from a file, with the data set under ``data`` if it names one.

    Args:
        file: YAML (or JSON): options of `TrainOptions` by name, with ``_`` or ``-``. Relative paths of weights and
            data are meant from the file.

    Raises:
        ConfigError: If it cannot be read, or names something that is no option.
    """
    place = Path(file)
    try:
        told = yaml.safe_load(place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{place}: expected a file of options (YAML); {error}. Check the path.") from error
    if not isinstance(told, Mapping) or not all(isinstance(name, str) for name in told):
        raise ConfigError(f"{place}: expected options by name, such as `lr: 0.01`; got {type(told).__name__}.")
    named = {name.replace("-", "_"): value for name, value in told.items()}
    known = [*(entry.name for entry in fields(TrainOptions)), "data", "subset"]
    for name in named:
        if name not in known:
            raise ConfigError(f"{place}: train has no option {name!r}.{did_you_mean(name, known)}")
    for name in ("data", "weights"):
        if isinstance(named.get(name), str) and (place.parent / named[name]).exists():
            named[name] = str(place.parent / named[name])
    return decoded(named)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.resolve())
    if isinstance(value, Repairs):
        return value.record()
    if isinstance(value, ReadOptions | DataPart):
        return {name: _plain(item) for name, item in asdict(value).items() if item is not None}
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _read_options(told: Mapping[str, Any]) -> ReadOptions:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    if values.get("images") is not None:
        values["images"] = Path(values["images"])
    try:
        return ReadOptions(**values)
    except TypeError as error:
        known = ", ".join(entry.name for entry in fields(ReadOptions))
        raise ConfigError(f"read must have entries of {known}; got {', '.join(told)}.") from error


def _part(told: Mapping[str, Any]) -> DataPart:
    try:
        return DataPart(**told)
    except TypeError as error:
        raise ConfigError(f"part must have the entries kind, number, of and seed; got {', '.join(told)}.") from error
