"""The sources of evidence that exist: literal tables, by what they look at."""

from collections.abc import Callable

__all__ = ["DATA_SOURCES", "SETUP_SOURCES"]

DATA_SOURCES: tuple[Callable[..., object], ...] = ()
SETUP_SOURCES: tuple[Callable[..., object], ...] = ()
