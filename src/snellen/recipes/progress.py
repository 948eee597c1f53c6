"""What a verb says while it works: lines, and a bar over anything long."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["counted", "counting", "num_cores", "progress_bar", "say", "skip_line"]

Item = TypeVar("Item")


def num_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def progress_bar(console: Console | None) -> Progress:
    """Return a bar that says what is done and how much is left; it shows on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    is_shown = console is not None and console.is_terminal
    return Progress(*columns, console=console, transient=True, disable=not is_shown)


def counted(items: Iterable[Item], *, total: int, what: str, console: Console | None) -> Iterator[Item]:
    """Yield ``items`` while a bar says how many are done; silent without a console or a terminal."""
    if console is None or not console.is_terminal:
        yield from items
        return
    with progress_bar(console) as bar:
        task = bar.add_task(what, total=total)
        for item in items:
            yield item
            bar.advance(task)


@contextmanager
def counting(*, total: int, what: str, console: Console | None) -> Iterator[Callable[[int, int], None]]:
    """Give a function that is told how many are done and how many there are; a bar shows it on a terminal."""
    with progress_bar(console) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def say(console: Console | None, text: str, *, style: str = "") -> None:
    """Print a line for people as it is: names with brackets are no markup, and paths are not broken."""
    if console is not None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def skip_line(path: str, reason: str) -> str:
    """Return what to say of a file that was left out; a reason that begins with the file is not given it twice."""
    return f"skipped {reason}" if reason.startswith(path) else f"skipped {path}: {reason}"
