"""snellen eval."""

from pathlib import Path
from typing import Annotated

import typer

from snellen.cli.choices import Which

__all__ = ["evaluate"]


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    data: Annotated[Path | None, typer.Argument(help="A data set; that of the run if left out.")] = None,
    split: Annotated[str, typer.Option(help="Which part of the data set.")] = "test",
    which: Annotated[Which, typer.Option(help="Which weights.")] = Which.best,
    format_name: Annotated[str | None, typer.Option("--format", help="Where recognising it fails.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure a trained model: figures, tables, and predictions on disk.

    [bold]Examples[/bold]

    snellen eval runs/faster_rcnn_r18_fpn

    snellen eval runs/faster_rcnn_r18_fpn --split val --json

    snellen eval runs/resnet18 other_photos/
    """
    from snellen import recipes
    from snellen.cli.console import console
    from snellen.evaluation import to_json

    results = recipes.evaluate(
        run, data, split=split, which=which.value, device=device, format=format_name, console=console()
    )
    if json_output:
        typer.echo(to_json(results))
