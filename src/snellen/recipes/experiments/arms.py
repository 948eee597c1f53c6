"""What is compared: configurations as changes of one base."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from snellen.errors import ConfigError, did_you_mean
from snellen.models import builder_options, find_model
from snellen.recipes.options import TrainOptions, options_from
from snellen.recipes.options_file import decoded, encoded

__all__ = ["BASE", "Arm", "changed", "full_grid", "seeded", "single_changes"]

BASE = "base"
_NOT_VARIED = (
    "seed",
    "folder",
    "tensorboard",
    "device",
    "workers",
    "part",
    "read",
    "format",
)  # say nothing of a choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One configuration.

    Attributes:
        name: In tables.
        options: Of ``train`` that differ from the base; other names are options of the model's builder or settings
            inside the model by dotted path.
        switches: Settings by dotted path that are changed once it is trained, before it is measured: arms that differ
            in nothing else share a training.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)


def full_grid(vary: Mapping[str, Sequence[Any]]) -> tuple[Arm, ...]:
    """Return every combination of the values, the first values first: those are what the others are held against.

    Raises:
        ConfigError: If a name has no values.
    """
    _check(vary)
    combinations = itertools.product(*vary.values())
    return tuple(_arm(dict(zip(vary, values, strict=True))) for values in combinations)


def single_changes(vary: Mapping[str, Sequence[Any]]) -> tuple[Arm, ...]:
    """Return the base, and for each value a configuration that differs in it alone.

    Raises:
        ConfigError: If a name has no values.
    """
    _check(vary)
    return (Arm(name=BASE), *(_arm({name: value}) for name, values in vary.items() for value in values))


def changed(base: TrainOptions, changes: Mapping[str, Any]) -> TrainOptions:
    """Return options with some of them changed.

    Args:
        base: What is changed.
        changes: By name, as in ``snellen train`` (``-`` or ``_``); what is no option of it goes to the model.

    Raises:
        ConfigError: If there is no such option, or a value is out of range.
    """
    own = {entry.name for entry in fields(TrainOptions)} | {"subset"}
    values = {entry.name: getattr(base, entry.name) for entry in fields(TrainOptions)}
    inside = dict(base.model_options)
    for name, value in changes.items():
        option = name.replace("-", "_")
        if option == "model_options":
            inside |= dict(value)
        elif option in own:
            values[option] = decoded({option: value})[option]
            inside.pop(option, None)  # loss and class_weights lie in both places
        else:
            inside[name] = value
    values["model_options"] = inside
    result = options_from(values)
    _check_model_options(result, changes, own)
    return result


def seeded(options: TrainOptions, seed: int, *, split_seed: int) -> dict[str, Any]:
    """Return options with a seed as JSON takes them; the data are divided alike for every seed."""
    own = replace(options, seed=seed, split_seed=split_seed, folder=None, tensorboard=False)
    return encoded(own)


def _check_model_options(options: TrainOptions, changes: Mapping[str, Any], own: set[str]) -> None:
    """Tell a mistyped name before hours of training, where the model is known."""
    if options.model is None:
        return
    entry = find_model(options.model)
    known = {*builder_options(entry), *own}
    for name in changes:
        if "." not in name and name not in known and name.replace("-", "_") not in known:
            raise ConfigError(
                f"neither `snellen train` nor the model {entry.name!r} has an option {name!r}."
                f"{did_you_mean(name, known)}"
            )


def _check(vary: Mapping[str, Sequence[Any]]) -> None:
    if not vary:
        raise ConfigError("something to vary was expected, such as --vary optimizer=sgd,adamw; got nothing.")
    for name, values in vary.items():
        if name.replace("-", "_") in _NOT_VARIED:
            raise ConfigError(f"{name} is no choice to be compared. Give --seeds for other seeds, or leave it out.")
        if not len(values):
            raise ConfigError(f"{name} must have values, such as {name}=A,B; got none.")


def _arm(changes: Mapping[str, Any]) -> Arm:
    words = ", ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in changes.items()
    )
    return Arm(name=words, options=dict(changes))
