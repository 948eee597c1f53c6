"""snellen predict."""

from pathlib import Path
from typing import Annotated

import typer

from snellen.cli.choices import Which

__all__ = ["predict"]


def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    images: Annotated[list[str], typer.Argument(help="Images, folders, patterns, video files.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write; RUN/predictions if left out.")
    ] = None,
    which: Annotated[Which, typer.Option(help="Which weights.")] = Which.best,
    tile: Annotated[int | None, typer.Option(help="Cut larger images into tiles of this side, in pixels.")] = None,
    min_score: Annotated[float, typer.Option(help="Detections below are not drawn.", min=0, max=1)] = 0.3,
    drawn: Annotated[bool, typer.Option("--draw/--no-draw", help="Draw the predictions.")] = True,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …")] = None,
) -> None:
    """Predict images and draw what was found.

    Writes drawn/ (images, or a video for a video), predictions.jsonl, and for detections predictions.coco.json, for
    what is said of whole images (classes, label sets, values) predictions.csv.

    [bold]Examples[/bold]

    snellen predict runs/faster_rcnn_r18_fpn photo.jpg

    snellen predict runs/faster_rcnn_r18_fpn "photos/*.png" --out found

    snellen predict runs/faster_rcnn_r18_fpn aerial.tif --tile 640
    """
    from snellen import recipes
    from snellen.cli.console import console

    screen = console()
    summary = recipes.predict(
        run,
        list(images),
        folder=out,
        which=which.value,
        tile=tile,
        min_score=min_score,
        drawn=drawn,
        device=device,
        console=screen,
    )
    for reason in summary.skipped.values():
        recipes.say(screen, f"skipped {reason}", style="yellow")
    recipes.say(screen, f"{len(summary.predictions)} predicted, {len(summary.skipped)} skipped")
    typer.echo(str(summary.folder))
