"""snellen data describe | convert | draw."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snellen.cli.reading import Columns, Separator, Task, read_options

if TYPE_CHECKING:  # importing it takes seconds
    from snellen.data import DatasetIndex, ReadOptions

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Describe, convert or draw a data set.")

_Format = Annotated[str | None, typer.Option("--format", help="Where recognising it fails.")]
_Classes = Annotated[str | None, typer.Option(help="Names in label order, with commas between.")]
_Images = Annotated[Path | None, typer.Option(help="Folder of the images, if elsewhere.")]
_Ignore = Annotated[int | None, typer.Option(help="Mask value that counts for nothing.")]


def _load(path: str, format_name: str | None, options: "ReadOptions") -> "DatasetIndex":
    from snellen import recipes

    return recipes.load(path, format=format_name, options=options)


@app.command()
def describe(
    path: Annotated[str, typer.Argument(help="A data set in any known format.")],
    format_name: _Format = None,
    classes: _Classes = None,
    images: _Images = None,
    ignore_index: _Ignore = None,
    task: Task = None,
    columns: Columns = None,
    separator: Separator = None,
    verify: Annotated[bool, typer.Option(help="Open every image file's header.")] = True,
    max_problems: Annotated[int, typer.Option(help="Problems to print of each kind.")] = 5,
) -> None:
    """Say what is in a data set, and what is wrong with it.

    [bold]Example[/bold]

    snellen data describe VOCdevkit/VOC2007
    """
    from rich.console import Console

    from snellen.data import verify as verified
    from snellen.recipes import description_text

    options = read_options(
        images=images, classes=classes, ignore_index=ignore_index, task=task, columns=columns, separator=separator
    )
    index = _load(path, format_name, options)
    Console().print(description_text(verified(index) if verify else index, max_problems=max_problems))


@app.command()
def convert(
    path: Annotated[str, typer.Argument(help="A data set in any known format.")],
    out: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    to: Annotated[str, typer.Option("--to", help="coco, voc, yolo, folders, masks, csv or jsonl.")],
    format_name: _Format = None,
    classes: _Classes = None,
    images: _Images = None,
    ignore_index: _Ignore = None,
    task: Task = None,
    columns: Columns = None,
    separator: Separator = None,
) -> None:
    """Write a data set in another format; images are copied.

    [bold]Example[/bold]

    snellen data convert VOCdevkit/VOC2007 voc_as_coco --to coco
    """
    from snellen import recipes

    options = read_options(
        images=images, classes=classes, ignore_index=ignore_index, task=task, columns=columns, separator=separator
    )
    index = _load(path, format_name, options)
    typer.echo(str(recipes.convert(index, out, to)))


@app.command()
def draw(
    path: Annotated[str, typer.Argument(help="A data set in any known format.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File of the picture.")] = Path("samples.jpg"),
    count: Annotated[int, typer.Option(help="Images on the sheet.", min=1)] = 12,
    seed: Annotated[int, typer.Option(help="Of the choice.", min=0)] = 0,
    split: Annotated[str | None, typer.Option(help="Only from this split.")] = None,
    format_name: _Format = None,
    classes: _Classes = None,
    images: _Images = None,
    ignore_index: _Ignore = None,
    task: Task = None,
    columns: Columns = None,
    separator: Separator = None,
) -> None:
    """Draw images with their annotations on one sheet.

    [bold]Example[/bold]

    snellen data draw VOCdevkit/VOC2007 --count 20 --out look.jpg
    """
    from snellen import recipes
    from snellen.errors import ConfigError

    options = read_options(
        images=images, classes=classes, ignore_index=ignore_index, task=task, columns=columns, separator=separator
    )
    index = _load(path, format_name, options)
    part = index if split is None else index.split(split)
    sheet = recipes.sample_sheet(part, count, seed).convert("RGB")
    try:
        sheet.save(out)
    except ValueError as error:  # Pillow's for a suffix that it does not know
        raise ConfigError(f"--out must end as pictures do, such as .jpg or .png; got {str(out)!r}.") from error
    typer.echo(str(out))
