"""Cells that hold numbers, flags, or nothing."""

import math
from collections.abc import Sequence

from snellen.data.formats.table_rows import Cell

__all__ = ["FALSE_WORDS", "MISSING_WORDS", "TRUE_WORDS", "are_flags", "are_numbers", "has_fractions", "is_number"]

MISSING_WORDS = frozenset(("", "?", "-", "na", "n/a", "nan", "null", "none", "missing", "unknown"))
TRUE_WORDS = frozenset(("1", "1.0", "true", "yes"))
FALSE_WORDS = frozenset(("0", "0.0", "false", "no"))
_LEAST_NUMBERS = 0.5  # of the cells that are not empty; the others are told one by one


def is_number(text: str) -> bool:
    """Return whether a text is a number, finite or not."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def has_fractions(texts: Sequence[str]) -> bool:
    """Return whether one of some texts is a number that is not whole."""
    numbers = [float(text) for text in texts if is_number(text)]
    return any(math.isfinite(number) and not number.is_integer() for number in numbers)


def are_flags(cells: Sequence[Cell]) -> bool:
    """Return whether cells say yes or no (0 and 1, true and false) wherever they say something."""
    said = {cell.lower() if isinstance(cell, str) else "" for cell in cells} - MISSING_WORDS
    return bool(said) and said <= TRUE_WORDS | FALSE_WORDS and not any(isinstance(cell, tuple) for cell in cells)


def are_numbers(cells: Sequence[Cell]) -> bool:
    """Return whether most cells that say something are numbers."""
    said = [cell for cell in cells if isinstance(cell, tuple) or cell.lower() not in MISSING_WORDS]
    numbers = sum(isinstance(cell, str) and is_number(cell) for cell in said)
    return bool(said) and numbers >= _LEAST_NUMBERS * len(said)
