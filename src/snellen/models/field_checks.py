"""What the fields of a record of settings may be: words from a list, and numbers within a range."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from numbers import Integral, Real
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from snellen.errors import ConfigError

__all__ = ["AT_LEAST_ONE", "NOT_NEGATIVE", "POSITIVE", "SHARE", "Range", "allowed_words", "check_fields", "field_kinds"]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers that a setting may be.

    Attributes:
        holds: Whether a number is in it.
        words: The same for a reader.
        is_whole: Whether only whole numbers are.
    """

    holds: Callable[[float], bool]
    words: str
    is_whole: bool = False


SHARE = Range(lambda value: 0 <= value <= 1, "a number from 0 to 1")
NOT_NEGATIVE = Range(lambda value: value >= 0, "a number of 0 or more")
POSITIVE = Range(lambda value: value > 0, "a number above 0")
AT_LEAST_ONE = Range(lambda value: value >= 1, "a whole number of 1 or more", is_whole=True)


def allowed_words(record: type, name: str) -> tuple[str, ...]:
    """Return the words that a field of a record may be; none if it is no matter of words."""
    return tuple(word for kind in field_kinds(record, name) if get_origin(kind) is Literal for word in get_args(kind))


def check_fields(record: Any, **ranges: Range) -> None:
    """Check what a record of settings holds; None passes where the field's type names it.

    Args:
        record: A dataclass whose fields of some words only are typed ``Literal``.
        ranges: Of the fields that are numbers.

    Raises:
        ConfigError: If a field holds another word or a number out of its range.
    """
    for field in fields(record):
        value, words = getattr(record, field.name), allowed_words(type(record), field.name)
        if value is None and type(None) in field_kinds(type(record), field.name):
            continue
        if words and value not in words:
            raise ConfigError(f"{field.name} must be one of {', '.join(map(repr, words))}; got {value!r}.")
        expected = ranges.get(field.name)
        if expected is not None and not _is_in(value, expected):
            raise ConfigError(f"{field.name} must be {expected.words}; got {value!r}.")


def field_kinds(record: type, name: str) -> tuple[Any, ...]:
    """Return the types that a field of a record may be of."""
    kind = get_type_hints(record)[name]
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _is_in(value: object, expected: Range) -> bool:
    if isinstance(value, bool) or not isinstance(value, Integral if expected.is_whole else Real):
        return False
    return expected.holds(float(value))
