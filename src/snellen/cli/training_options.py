"""Options of ``snellen train`` as keywords of ``snellen.train``, for every command that takes them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import typer

from snellen.cli.choices import assignments, colour, weights_by_class, whole_numbers
from snellen.cli.reading import read_options

__all__ = ["configured_data", "given_keywords", "parsed_keywords", "train_keywords"]

_READING = ("images", "classes", "ignore_index", "task", "columns", "separator")
# Options whose keyword has another name, or whose value has to be read.
_READ: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "mean": ("mean", lambda value: colour(value, "--mean")),
    "std": ("std", lambda value: colour(value, "--std")),
    "milestone": ("milestones", lambda value: tuple(value or ())),
    "randaugment": ("randaugment", lambda value: whole_numbers(value, "--randaugment")),
    "class_weights": ("class_weights", weights_by_class),
    "set_option": ("model_options", assignments),
    "repairs": ("repairs", lambda value: None if value is None else _mapping(value)),
    "format_name": ("format", lambda value: value),
    "out": ("folder", lambda value: value),
}
# What a command does with the options, and does not pass on.
_OF_GROUPS = ("seeds", "folds", "subsets", "bootstrap", "keep")
_OF_COMMAND = ("context", "data", "config", *_OF_GROUPS, "resume", "check", "force")


def train_keywords(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords of ``snellen.train`` from the values of all options of ``snellen train``."""
    keywords: dict[str, Any] = {}
    for name, value in given.items():
        if name in _OF_COMMAND or name in _READING:
            continue
        keyword, read = _READ.get(name, (name, _plain))
        keywords[keyword] = read(value)
    keywords["read"] = read_options(**{name: given[name] for name in _READING})
    return keywords


def given_keywords(context: typer.Context, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords with those from ``--config`` beneath: what was typed wins.

    Args:
        context: Of the command, which knows what was typed.
        given: All options by parameter.

    Raises:
        ConfigError: If the file cannot be read.
    """
    keywords = train_keywords(given)
    if given["config"] is None:
        return keywords
    from snellen import recipes

    told = recipes.read_config(given["config"])
    told.pop("data", None)
    typed = [name for name in given if _is_typed(context, name)]
    wanted = {_READ.get(name, (name, _plain))[0] for name in typed if name not in _READING}
    merged = {**keywords, **{name: value for name, value in told.items() if name not in wanted}}
    if "model_options" in wanted:
        merged["model_options"] = {**(told.get("model_options") or {}), **keywords["model_options"]}
    if any(name in _READING for name in typed):
        merged["read"] = keywords["read"]
    return merged


def configured_data(context: typer.Context, given: Mapping[str, Any]) -> str:
    """Return the data set: what was typed, or what ``--config`` names."""
    if given["config"] is None or _is_typed(context, "data"):
        return str(given["data"])
    from snellen import recipes

    return str(recipes.read_config(given["config"]).get("data", given["data"]))


def parsed_keywords(words: Sequence[str], command: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return data set, keywords of ``snellen.train`` and the command's own flags from words as typed.

    Args:
        words: The data set and options of ``snellen train``.
        command: That they were typed for, for its messages.

    Raises:
        ConfigError: If an option makes no sense for many trainings.
    """
    from snellen.cli.train import train
    from snellen.errors import ConfigError

    found: dict[str, Any] = {}

    @wraps(train)
    def keep(**values: Any) -> None:
        found.update(values)

    keep.__signature__ = inspect.signature(train)  # type: ignore[attr-defined]  # what typer reads options from
    application = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    application.command()(keep)
    typer.main.get_command(application).main(list(words), prog_name=f"snellen {command}", standalone_mode=False)
    if not found:  # --help was asked for, and shown
        raise typer.Exit
    refused = [name for name in (*_OF_GROUPS, "resume", "out") if found[name] is not None]
    if refused:
        raise ConfigError(f"--{refused[0]} is of `snellen train` alone; `snellen {command}` has no use for it here.")
    context = found["context"]
    flags = {"check": found["check"], "force": found["force"]}
    return configured_data(context, found), given_keywords(context, found), flags


def _plain(value: Any) -> Any:
    """Return a value, or the word of an enumeration."""
    return getattr(value, "value", value)


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _mapping(file: Path) -> Mapping[str, Any]:
    import yaml

    from snellen.errors import ConfigError

    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: expected a file of repairs (YAML or JSON); {error}. Check the path.") from error
    if not isinstance(told, Mapping):
        raise ConfigError(f"{file}: expected drop, labels or objects by name; got {type(told).__name__}.")
    return told
