"""snellen enhance."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["enhance"]


def enhance(
    images: Annotated[list[str] | None, typer.Argument(help="Images, folders, patterns.")] = None,
    operations: Annotated[
        list[str] | None,
        typer.Option("--operations", help="NAME:OPTION=VALUE,…, in their order; may be repeated."),
    ] = None,
    auto: Annotated[
        bool, typer.Option("--auto", help="What the doctor advises for the light of each image, with the reason.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write; ./enhanced if left out.")] = None,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Draw images before and after, with histograms: OUT-sheet.png.")
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Processes; as many as cores if left out.", min=0)] = None,
    language: Annotated[str | None, typer.Option("--lang", help="Of reasons: en or zh.")] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the operations and their options.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done to each image as JSON.")] = False,
) -> None:
    """Change the light, colours, noise or size of images, and write them into a folder of their own.

    Originals are never touched. Names stay, so that annotations still fit. A training whose images need it, and the use
    of its model, do better with `snellen train --enhance`: then every image is treated alike, wherever it comes from.

    [bold]Examples[/bold]

    snellen enhance --list

    snellen enhance night/ --operations stretch,neutral_light --out day --sheet

    snellen enhance scan.tif --operations median:size=5 --operations clahe:clip_limit=3

    snellen enhance photos/ --auto --sheet
    """
    import json
    from dataclasses import asdict

    from rich.console import Console

    from snellen import recipes
    from snellen.cli.console import console
    from snellen.errors import ConfigError

    if show_list:
        Console().print(recipes.operation_list())
        return
    if not images:
        raise ConfigError("expected images, a folder or a pattern, such as `snellen enhance photos/ --auto`.")
    summary = recipes.enhance(
        images,
        operations=operations or None,
        auto=auto,
        folder=out,
        sheet=sheet,
        workers=workers,
        language=language,
        console=console(),
    )
    if as_json:
        told = {"images": [asdict(image) for image in summary.images], "skipped": dict(summary.skipped)}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        typer.echo(str(summary.folder))
