"""snellen baseline."""

from pathlib import Path
from typing import Annotated

import typer

from snellen.cli.choices import comma_list
from snellen.cli.reading import Columns, Separator, Task, read_options

__all__ = ["baseline"]


def baseline(
    data: Annotated[
        str, typer.Argument(help="A data set in any known format, or the name of built-in charts.")
    ] = "charts-classification",
    models: Annotated[
        str | None, typer.Option(help="Names with commas between, such as hog_svm,colour_forest; a choice if left out.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Images of each split at most, drawn at random.", min=1)] = None,
    minutes: Annotated[float, typer.Option(help="After which no further model is begun; 0 for no limit.")] = 10.0,
    weights: Annotated[
        Path | None, typer.Option(help="Of --backbone, trained on other images: its features are tried, too.")
    ] = None,
    backbone: Annotated[str, typer.Option(help="The network that the weights belong to.")] = "mobilenet_v2",
    format_name: Annotated[str | None, typer.Option("--format", help="Where recognising it fails.")] = None,
    classes: Annotated[str | None, typer.Option(help="Names in label order, with commas between.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images, if elsewhere.")] = None,
    ignore_index: Annotated[int | None, typer.Option(help="Mask value that counts for nothing.")] = None,
    task: Task = None,
    columns: Columns = None,
    separator: Separator = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    device: Annotated[str | None, typer.Option(help="Where the backbone computes: cpu, cuda, cuda:1 …")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the results; one that was broken off goes on.")
    ] = None,
) -> None:
    """Measure what shallow models reach, in minutes: the table that a deep net has to beat.

    Nearest neighbours, regressions, forests and support vector machines on pixels, colours, textures, shapes and visual
    words, beside what can be said without looking; which features seem to carry the signal. Ctrl-C keeps what is done,
    and the same command with --out goes on.

    [bold]Examples[/bold]

    snellen baseline photos/

    snellen baseline photos/ --models hog_svm,colour_forest,pixels_tangent_knn --limit 2000

    snellen baseline photos/ --weights mobilenet_v2.pth --out runs/baseline
    """
    from snellen import recipes
    from snellen.cli.console import console

    report = recipes.baseline(
        data,
        models=comma_list(models) or (),
        limit=limit,
        minutes=minutes or None,
        weights=weights,
        backbone=backbone,
        folder=out,
        format=format_name,
        read=read_options(
            images=images,
            classes=classes,
            ignore_index=ignore_index,
            task=task,
            columns=columns,
            separator=separator,
        ),
        seed=seed,
        device=device,
        console=console(),
    )
    if report.interrupted:
        raise typer.Exit(130)
