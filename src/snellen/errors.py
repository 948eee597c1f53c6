"""The exceptions of Snellen.

    SnellenError
    ├── InputError (ValueError)      an argument is wrong
    │   └── ShapeError               a tensor has the wrong shape
    ├── ConfigError (ValueError)     an unknown name or an impossible combination of settings
    ├── DatasetError                 a data set cannot be read (file, line)
    ├── CheckpointError              weights or a saved run cannot be loaded
    ├── TrainingError                training cannot go on
    ├── FaultsFoundError             the doctor found faults that a training should not begin with
    └── MissingExtraError (ImportError)  an optional dependency is not installed

Every message says what was expected, what arrived, where, and what to do.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DatasetError",
    "FaultsFoundError",
    "InputError",
    "MissingExtraError",
    "ShapeError",
    "SnellenError",
    "TrainingError",
    "did_you_mean",
]


class SnellenError(Exception):
    """Base of every error that Snellen raises on purpose."""


class InputError(SnellenError, ValueError):
    """An argument is wrong."""


class ShapeError(InputError):
    """A tensor has the wrong shape."""


class ConfigError(SnellenError, ValueError):
    """A setting is unknown, or settings do not fit together."""


class DatasetError(SnellenError):
    """A data set cannot be read.

    Args:
        message: What was expected, what arrived, and what to do.
        file: The file at fault, if one is known.
        line: Its line, counted from 1, if one is known.
    """

    def __init__(self, message: str, *, file: Path | str | None = None, line: int | None = None) -> None:
        self.file = None if file is None else Path(file)
        self.line = line
        place = "" if file is None else f"{file}{'' if line is None else f':{line}'}: "
        super().__init__(place + message)


class CheckpointError(SnellenError):
    """Weights or a saved run cannot be loaded."""


class TrainingError(SnellenError):
    """Training cannot go on."""


class FaultsFoundError(SnellenError):
    """The doctor found faults that a training should not begin with."""


class MissingExtraError(SnellenError, ImportError):
    """An optional dependency is not installed.

    Args:
        package: The import that failed.
        extra: The extra of ``snellen`` that brings it.
        purpose: What needs it.
    """

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f'{purpose} needs the package {package!r}, which is not installed; run: pip install "snellen[{extra}]"'
        )


_SURELY_MEANT = 0.85  # likeness of a word with one or two letters wrong
_LEAST_BEGINNING = 4  # letters of a name that the word begins with, such as eval of evaluate


def did_you_mean(name: str, known: Iterable[str], *, limit: int = 3) -> str:
    """Return a hint such as `` Did you mean 'resnet50'?``, or the known names if none is near.

    Args:
        name: What the user typed.
        known: The names that exist.
        limit: Most suggestions to give.

    Returns:
        A sentence that starts with a space, to be put behind an error message.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=limit, cutoff=0.55)
    begun = [one for one in names if len(one) >= _LEAST_BEGINNING and name.startswith(one)]
    if begun and not difflib.get_close_matches(name, names, cutoff=_SURELY_MEANT):
        near = begun[-1:]
    if near:
        return f" Did you mean {' or '.join(map(repr, near))}?"
    return f" Known: {', '.join(names)}." if names else ""
