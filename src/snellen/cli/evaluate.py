"""snellen eval."""

from pathlib import Path
from typing import Annotated

import typer

from snellen.cli.choices import Which
from snellen.cli.looking import Crf, CrfSet, Flip, Scales, Tile, wanted_crf, wanted_scales

__all__ = ["evaluate"]


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    data: Annotated[Path | None, typer.Argument(help="A data set; that of the run if left out.")] = None,
    split: Annotated[str, typer.Option(help="Which part of the data set.")] = "test",
    which: Annotated[Which, typer.Option(help="Which weights.")] = Which.best,
    at_recall: Annotated[
        float | None, typer.Option(help="Choose the threshold that finds so much of a class.", min=0, max=1)
    ] = None,
    at_precision: Annotated[
        float | None,
        typer.Option(help="Choose the threshold at which so much of what is named is right.", min=0, max=1),
    ] = None,
    best_f1: Annotated[bool, typer.Option("--best-f1", help="Choose the threshold of the highest F1.")] = False,
    find: Annotated[
        str | None, typer.Option(help="Class that the threshold is for; of two, the rarer one if left out.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Fit a temperature, so that probabilities mean what they say.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Use no thresholds and no temperature, whatever was chosen.")
    ] = False,
    tile: Tile = None,
    scales: Scales = None,
    flip: Flip = False,
    crf: Crf = False,
    crf_set: CrfSet = None,
    tune_crf: Annotated[
        bool, typer.Option("--tune-crf", help="Choose the dense CRF on the validation images first, and keep it.")
    ] = False,
    format_name: Annotated[str | None, typer.Option("--format", help="Where recognising it fails.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure a trained model: figures, tables, and predictions on disk.

    Thresholds and temperature are chosen on the validation images of the run and kept in its folder; later measurements
    and `snellen predict` use them. Measurements with tiles, several scales, mirrored images or a dense CRF lie beside
    the plain one, in folders of their own.

    [bold]Examples[/bold]

    snellen eval runs/faster_rcnn_r18_fpn

    snellen eval runs/faster_rcnn_r18_fpn --split val --json

    snellen eval runs/resnet18 other_photos/

    snellen eval runs/resnet18 --at-recall 0.95 --find melanoma --calibrate

    snellen eval runs/unet_resnet18 --scales 0.75,1,1.25 --flip --tune-crf
    """
    from snellen import recipes
    from snellen.cli.console import console
    from snellen.evaluation import to_json

    results = recipes.evaluate(
        run,
        data,
        split=split,
        which=which.value,
        at_recall=at_recall,
        at_precision=at_precision,
        best_f1=best_f1,
        find=find,
        calibrate=calibrate,
        plain=plain,
        tile=tile,
        scales=wanted_scales(scales),
        flip=flip,
        crf=wanted_crf(crf_set, crf=crf),
        tune_crf=tune_crf,
        device=device,
        format=format_name,
        console=console(),
    )
    if json_output:
        typer.echo(to_json(results))
