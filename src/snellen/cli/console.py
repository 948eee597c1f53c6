"""Where commands write for people."""

from rich.console import Console

__all__ = ["console"]


def console() -> Console:
    """Return the console for progress and results: standard error, so that standard output can be piped."""
    return Console(stderr=True)
