"""snellen treat."""

from pathlib import Path
from typing import Annotated

import typer

from snellen.cli.choices import comma_list

__all__ = ["treat"]

_INTERRUPTED = 130


def treat(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    seeds: Annotated[int, typer.Option(help="Trainings of every configuration, from the run's seed on.", min=1)] = 3,
    most_seeds: Annotated[
        int | None,
        typer.Option(help="Seeds of what may help where those do not tell; twice as many if left out.", min=1),
    ] = None,
    most: Annotated[int, typer.Option(help="Treatments that are tried at most.", min=1)] = 8,
    only: Annotated[str | None, typer.Option(help="Codes of findings to treat, with commas between.")] = None,
    info: Annotated[bool, typer.Option("--info", help="Treat what is only worth knowing, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and train nothing.")] = False,
    processes: Annotated[int, typer.Option(help="Trainings at once; they share the cores.", min=1)] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of everything; RUN-treated if left out.")
    ] = None,
) -> None:
    """Try the treatments of what was found of a run, keep what measurably helps, and prove it.

    Each treatment is a change of the run's configuration. Treated and untreated are trained from the same seeds:
    shortly first, and the better half goes on. What helps, and gives up no class, is put together and trained in full,
    with more seeds where those do not tell. The validation images choose; the test images are looked at once, when all
    is chosen. What is done is kept: the same command goes on.
    Written: treatment.html, .md, .csv and .json, and treated.yaml for `snellen train --config`.

    [bold]Examples[/bold]

    snellen treat runs/resnet18 --dry-run

    snellen treat runs/resnet18 --seeds 5 --processes 4

    snellen treat runs/resnet18 --only D13,T12 --most 12
    """
    from rich.console import Console

    from snellen import recipes
    from snellen.cli.console import console
    from snellen.recipes.experiments.running import Interrupted

    chosen = {"seeds": seeds, "most_seeds": most_seeds, "most": most, "info": info, "only": comma_list(only) or ()}
    if dry_run:
        for line in recipes.outline(run, console=console(), **chosen).lines():  # type: ignore[arg-type]  # named alike
            typer.echo(line)
        return
    try:
        report = recipes.treat(run, processes=processes, folder=out, console=console(), **chosen)  # type: ignore[arg-type]
    except Interrupted:
        typer.echo("broken off; the same command goes on", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    Console().print(report.renderable())
