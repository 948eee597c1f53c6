"""Options of classical segmenters, which predict without a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snellen.cli.choices import assignments

if TYPE_CHECKING:  # importing it takes seconds
    from snellen.recipes import PredictSummary

__all__ = ["Box", "Method", "Seeds", "Set", "segmented"]

Method = Annotated[
    str | None,
    typer.Option("--model", help="A classical segmenter, instead of a run: otsu, watershed, slic, grabcut, …"),
]
Box = Annotated[str | None, typer.Option(help="With --model: x0,y0,x1,y1 in pixels around what is wanted.")]
Seeds = Annotated[
    Path | None,
    typer.Option(help="With --model: marks, 1 background, 2 foreground; a PNG, a CSV x,y,mark, or a folder of them."),
]
Set = Annotated[list[str] | None, typer.Option("--set", help="With --model: NAME=VALUE, as in `snellen models NAME`.")]

_OWN = frozenset({"method", "box", "seeds", "set_option", "run", "images", "out", "drawn"})


def segmented(
    context: typer.Context,
    sources: Sequence[str],
    method: str,
    *,
    box: str | None,
    seeds: Path | None,
    set_option: list[str] | None,
    out: Path | None,
    drawn: bool,
) -> "PredictSummary":
    """Cut images by a classical segmenter; refuse options that are for runs.

    Raises:
        ConfigError: If such an option is given, or a value cannot be read.
        InputError: If a source matches nothing, or no file could be cut.
    """
    from snellen import recipes
    from snellen.cli.console import console
    from snellen.errors import ConfigError

    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if (name := parameter.name or "") not in _OWN
        and (source := context.get_parameter_source(name)) is not None
        and source.name == "COMMANDLINE"
    ]
    if given:
        raise ConfigError(f"{given[0]} is for a run; --model {method} predicts without one. Leave one of them out.")
    return recipes.segment_files(
        list(sources),
        method,
        box=None if box is None else _numbers(box),
        seeds=seeds,
        settings=assignments(set_option),
        folder=out,
        drawn=drawn,
        console=console(),
    )


def _numbers(box: str) -> list[float]:
    from snellen.errors import ConfigError

    try:
        return [float(part) for part in box.split(",")]
    except ValueError as error:
        raise ConfigError(f"--box must be x0,y0,x1,y1, such as 40,20,200,180; got {box!r}.") from error
