"""The verb demo: everything once, on built-in data, in minutes."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from snellen.errors import ConfigError, did_you_mean
from snellen.recipes.datasets import CHARTS, load
from snellen.recipes.predicting import predict
from snellen.recipes.progress import say
from snellen.recipes.runs import RECORD, RUNS_FOLDER, Run, new_folder
from snellen.recipes.training import resume, train

__all__ = ["demo"]

# Letters are learned sooner than the usual budget ends; a demonstration need not wait for it.
_SHORT: Mapping[str, Mapping[str, Any]] = {"charts": {"epochs": 3, "batch_size": 8}}


def demo(name: str = "charts", *, folder: Path | None = None, console: Console | None = None) -> Run:
    """Train on built-in eye charts, measure, predict some of them, and write the report.

    A demonstration that was broken off goes on, unless a folder is given that has none.

    Args:
        name: ``charts``, ``charts-classification`` or ``charts-segmentation``.
        folder: Of the run; a new one beneath ``runs`` if None.
        console: Where to say what happens.

    Raises:
        ConfigError: If there are no such charts.
    """
    if name not in CHARTS:
        raise ConfigError(f"there are no built-in charts called {name!r}.{did_you_mean(name, CHARTS)}")
    begun = _broken_off([folder] if folder else _folders(name))
    if begun is not None:
        say(console, f"going on with {begun}, which was broken off")
        run = resume(begun, console=console)
    else:
        place = folder or new_folder(f"demo-{name}", RUNS_FOLDER)
        run = train(name, folder=place, console=console, **_SHORT.get(name, {}))
    if not run.report.exists():  # interrupted
        return run
    images = _some_test_images(run)
    summary = predict(run, images, console=console)
    say(console, f"drawn predictions: {summary.folder / 'drawn'}")
    say(console, f"report: {run.report.resolve()}", style="bold")
    return run


def _broken_off(folders: Sequence[Path]) -> Path | None:
    """Return the last of some folders, if there is a run in it whose training has not ended."""
    runs = [folder for folder in folders if (folder / RECORD).is_file()]
    return runs[-1] if runs and not Run.open(runs[-1]).report.exists() else None


def _folders(name: str) -> list[Path]:
    """Return those that ``new_folder`` made for a demonstration, in their order."""
    told = re.compile(rf"demo-{name}(?:-(\d+))?")
    found = {folder: told.fullmatch(folder.name) for folder in RUNS_FOLDER.glob(f"demo-{name}*")}
    numbers = {folder: int(match[1] or 1) for folder, match in found.items() if match}
    return sorted(numbers, key=numbers.__getitem__)


def _some_test_images(run: Run, count: int = 6) -> list[Path | str]:
    index = load(run.record["data"], format=run.record["format"])
    part = index.split("test")
    return [part.path(row) for row in range(min(count, len(part)))]
