"""snellen lr."""

import json
from pathlib import Path
from typing import Annotated

import typer

from snellen.cli.choices import Optimizer, Padding, assignments, colour
from snellen.cli.reading import Columns, Separator, Task, read_options

__all__ = ["lr"]


def lr(
    data: Annotated[
        str, typer.Argument(help="A data set in any known format, or the name of built-in charts.")
    ] = "charts",
    model: Annotated[str | None, typer.Option("--model", "-m", help="Name from `snellen models`.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Start from these weights.")] = None,
    mean: Annotated[str | None, typer.Option(help="R,G,B in 0..1 that the weights expect.")] = None,
    std: Annotated[str | None, typer.Option(help="Spread of R,G,B that the weights expect.")] = None,
    padding: Annotated[Padding | None, typer.Option(help="`same` for weights trained with TensorFlow.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Short side in pixels (side, for classification).")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per batch.")] = None,
    accumulate: Annotated[int, typer.Option(help="Batches per step.")] = 1,
    optimizer: Annotated[Optimizer | None, typer.Option(help="Rule of the steps.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Not applied to norms and biases.")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Longest gradient; 0 for no limit.")] = None,
    augment: Annotated[float | None, typer.Option(help="Strength of the augmentation, 0 to 1.")] = None,
    set_option: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE for the model, as in `snellen models NAME`; may be repeated."),
    ] = None,
    low: Annotated[float, typer.Option("--from", help="First rate of the sweep.")] = 1e-7,
    high: Annotated[float, typer.Option("--to", help="Last rate of the sweep.")] = 10.0,
    steps: Annotated[int, typer.Option(help="Of the sweep.")] = 100,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read images.")] = None,
    format_name: Annotated[str | None, typer.Option("--format", help="Where recognising it fails.")] = None,
    classes: Annotated[str | None, typer.Option(help="Names in label order, with commas between.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images, if elsewhere.")] = None,
    ignore_index: Annotated[int | None, typer.Option(help="Mask value that counts for nothing.")] = None,
    task: Task = None,
    columns: Columns = None,
    separator: Separator = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the chart to this .svg file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Find a learning rate by a range test: rates rise from tiny to huge, and the loss shows which of them work.

    The training is that of `snellen train` with the same options. Nothing is kept; Ctrl-C ends the test and shows what
    was found so far.

    [bold]Examples[/bold]

    snellen lr photos/ --model resnet18

    snellen lr photos/ --model mobilenet_v2 --weights mobilenet_v2.pth --out rates.svg
    """
    from snellen import recipes
    from snellen.cli.console import console

    advice = recipes.find_rate(
        data,
        low=low,
        high=high,
        steps=steps,
        console=console(),
        model=model,
        weights=weights,
        mean=colour(mean, "--mean"),
        std=colour(std, "--std"),
        padding=None if padding is None else padding.value,
        image_size=image_size,
        batch_size=batch_size,
        accumulate=accumulate,
        optimizer=None if optimizer is None else optimizer.value,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        augment=augment,
        model_options=assignments(set_option),
        seed=seed,
        device=device,
        workers=workers,
        format=format_name,
        read=read_options(
            images=images,
            classes=classes,
            ignore_index=ignore_index,
            task=task,
            columns=columns,
            separator=separator,
        ),
    )
    if out is not None:
        recipes.write_rate_chart(out, advice)
    if as_json:
        typer.echo(json.dumps(advice.record(), indent=2))
