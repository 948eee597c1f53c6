"""The settings of a treatment as words of the command line."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from snellen.doctor import Treatment

__all__ = ["settings_words"]


def settings_words(treatment: Treatment | None) -> str:
    """Return options of ``snellen train`` that mend a fault; empty where no setting does."""
    if treatment is None:
        return ""
    words: list[str] = []
    for name, value in treatment.settings.items():
        words += _words(name.replace("_", "-"), value)
    return shlex.join(words)


def _words(name: str, value: Any) -> list[str]:
    if name == "model-options" and isinstance(value, Mapping):
        return [word for key, item in value.items() for word in ("--set", f"{key}={_value(item)}")]
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, list | tuple):
        if name == "milestones":
            return [word for item in value for word in ("--milestone", str(item))]
        return [f"--{name}", ",".join(map(str, value))]
    return [f"--{name}", str(value)]


def _value(item: Any) -> str:
    """Return a value as it is typed: text that could be read as nothing else needs no quotes."""
    if isinstance(item, str):
        try:
            json.loads(item)
        except json.JSONDecodeError:
            return item
    return json.dumps(item)
