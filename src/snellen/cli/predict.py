"""snellen predict."""

from pathlib import Path
from typing import Annotated

import typer

from snellen.cli.choices import Which
from snellen.cli.looking import Crf, CrfSet, Flip, Scales, Tile, wanted_crf, wanted_scales
from snellen.cli.segmenting import Box, Method, Seeds, Set, segmented

__all__ = ["predict"]


def predict(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Folder of a run; with --model, the first of the images.")],
    images: Annotated[list[str] | None, typer.Argument(help="Images, folders, patterns, video files.")] = None,
    method: Method = None,
    box: Box = None,
    seeds: Seeds = None,
    set_option: Set = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write; RUN/predictions if left out.")
    ] = None,
    which: Annotated[Which, typer.Option(help="Which weights.")] = Which.best,
    tile: Tile = None,
    scales: Scales = None,
    flip: Flip = False,
    crf: Crf = False,
    crf_set: CrfSet = None,
    min_score: Annotated[float, typer.Option(help="Detections below are not drawn.", min=0, max=1)] = 0.3,
    drawn: Annotated[bool, typer.Option("--draw/--no-draw", help="Draw the predictions.")] = True,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …")] = None,
) -> None:
    """Predict images and draw what was found; classical segmenters (--model) do so without a training.

    Prints the first ten. Writes drawn/ (images, or a video for a video), predictions.jsonl, and for detections
    predictions.coco.json, for what is said of whole images (classes, label sets, values) predictions.csv.

    [bold]Examples[/bold]

    snellen predict runs/faster_rcnn_r18_fpn photo.jpg

    snellen predict runs/faster_rcnn_r18_fpn "photos/*.png" --out found

    snellen predict runs/faster_rcnn_r18_fpn aerial.tif --tile 640

    snellen predict runs/unet_resnet18 street/ --scales 0.75,1,1.25 --flip --crf

    snellen predict --model watershed cells/

    snellen predict --model grabcut horse.jpg --box 40,20,280,210
    """
    from snellen import recipes
    from snellen.cli.console import console
    from snellen.errors import ConfigError, InputError

    screen = console()
    if method is not None:
        places = [str(run), *(images or ())]
        summary = segmented(context, places, method, box=box, seeds=seeds, set_option=set_option, out=out, drawn=drawn)
    elif box is not None or seeds is not None or set_option:
        raise ConfigError("--box, --seeds and --set are for classical segmenters. Name one, such as --model grabcut.")
    elif not images:
        raise InputError(f"predict expects images behind the folder of a run; got {run} alone. Name some.")
    else:
        summary = recipes.predict(
            run,
            list(images),
            folder=out,
            which=which.value,
            tile=tile,
            scales=wanted_scales(scales),
            flip=flip,
            crf=wanted_crf(crf_set, crf=crf),
            min_score=min_score,
            drawn=drawn,
            device=device,
            console=screen,
        )
    for reason in summary.skipped.values():
        recipes.say(screen, f"skipped {reason}", style="yellow")
    recipes.say(screen, f"{len(summary.predictions)} predicted, {len(summary.skipped)} skipped")
    typer.echo(str(summary.folder))
