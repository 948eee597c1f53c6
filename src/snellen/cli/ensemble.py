"""snellen ensemble."""

from pathlib import Path
from typing import Annotated

import typer

from snellen.cli.choices import BoxMerge, Ensembling, number_list

__all__ = ["ensemble"]


def ensemble(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.")],
    how: Annotated[Ensembling, typer.Option(help="How they become one.")] = Ensembling.mean,
    weights: Annotated[str | None, typer.Option(help="Of the members for `mean`, with commas between.")] = None,
    snapshots: Annotated[
        bool, typer.Option("--snapshots", help="Take the weights kept at the ends of cycles, of each run.")
    ] = False,
    last: Annotated[int | None, typer.Option(help="Only so many snapshots of each run, the latest.", min=1)] = None,
    boxes: Annotated[BoxMerge, typer.Option(help="How detections are merged.")] = BoxMerge.fusion,
    iou: Annotated[float, typer.Option(help="Overlap from which two boxes are one.", min=0, max=1)] = 0.55,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the new run.")] = None,
) -> None:
    """Put trained runs together as one, and measure it on what no member learned from.

    `mean` averages the answers of any models, `blend` does so with weights fitted on the validation images, `soup`
    averages the weights of one architecture, `greedy_soup` those of them that help. Detections are merged by weighted
    boxes fusion. What comes of it is a run: evaluate it, predict with it, read its report.

    [bold]Examples[/bold]

    snellen ensemble runs/resnet18 runs/mobilenet_v2

    snellen ensemble runs/resnet18 runs/mobilenet_v2 --how blend --out runs/both

    snellen ensemble runs/resnet18 --snapshots --last 3
    """
    from snellen import recipes
    from snellen.cli.console import console
    from snellen.models.ensemble import MergeSettings

    recipes.ensemble(
        runs,
        how=how.value,
        weights=number_list(weights, "--weights"),
        snapshots=snapshots or last is not None,
        last=last,
        merge=MergeSettings(boxes=boxes.value, iou=iou),
        folder=out,
        console=console(),
    )
