"""snellen demo."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    name: Annotated[str, typer.Argument(help="charts, charts-classification or charts-segmentation.")] = "charts",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run.")] = None,
) -> None:
    """Do everything once on built-in eye charts: train, measure, predict, report.

    Takes minutes on two CPU cores, opens nothing, and prints where the report is. After Ctrl-C the same
    command goes on.

    [bold]Examples[/bold]

    snellen demo

    snellen demo charts-classification --out runs/letters
    """
    from snellen import recipes
    from snellen.cli.console import console

    run = recipes.demo(name, folder=out, console=console())
    if not run.report.exists():
        raise typer.Exit(130)
