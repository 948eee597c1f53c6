"""snellen models."""

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snellen.cli.choices import assignments
from snellen.cli.reading import TaskName

if TYPE_CHECKING:  # importing it takes seconds
    from rich.console import Console

    from snellen.models import ModelDescription

__all__ = ["models"]


def models(
    name: Annotated[
        str | None, typer.Argument(help="A model, a backbone, timm:NAME or a system; all models if left out.")
    ] = None,
    task: Annotated[TaskName | None, typer.Option(help="List models that learn this alone.")] = None,
    search: Annotated[str | None, typer.Option(help="List models with this in name, family or summary alone.")] = None,
    backbones: Annotated[bool, typer.Option("--backbones", help="List the backbones.")] = False,
    num_classes: Annotated[
        int, typer.Option("--classes", "--num-classes", help="Decides the size of the head.", min=1)
    ] = 10,
    size: Annotated[int | None, typer.Option(help="Side of the input in pixels.", min=1)] = None,
    depth: Annotated[int, typer.Option(help="How deep the table of layers goes; 0 for none.", min=0)] = 2,
    set_option: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE for the model, such as backbone=resnet34.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the receptive fields, in theory and measured: a .png, .svg or .html file.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="For --picture: measure with these weights.")] = None,
    time: Annotated[
        bool, typer.Option("--time", help="Measure how long one image and a batch of 8 take on this machine.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models, or describe one: layers, operations, memory, receptive fields, options, the page of its system.

    [bold]Examples[/bold]

    snellen models

    snellen models --task box --search fpn

    snellen models rcnn

    snellen models faster_rcnn_r50_fpn --classes 3 --set backbone=resnext50_32x4d

    snellen models vgg16 --size 224 --depth 3

    snellen models resnet18 --picture fields.png

    snellen models ssd_mobilenet_v2 --time --depth 0
    """
    from rich.console import Console

    from snellen import recipes

    console = Console()
    if name is None:
        _list(console, None if task is None else task.value, search, backbones=backbones, as_json=json)
        return
    options = assignments(set_option)
    if name in recipes.system_names() and not json and picture is None and not time:
        _print_page(console, name)
        return
    if picture is not None:
        recipes.check_picture_kind(picture)
    described = recipes.describe(name, num_classes=num_classes, size=size, options=options)
    speed = recipes.time_model(name, num_classes=num_classes, size=size, options=options) if time else None
    if json:
        told = recipes.description_json(described, depth=depth or None)
        told |= {} if speed is None else {"speed": recipes.speed_json(speed)}
        console.file.write(json_module.dumps(told, indent=1) + "\n")
    else:
        _print_description(console, described, None if speed is None else recipes.speed_lines(speed), depth)
        console.print(recipes.option_lines(name), highlight=False, markup=False)
    if picture is not None:
        fields = recipes.draw_fields(picture, name, weights=weights, size=size, options=options)
        if not json:
            console.print("\n".join(fields), highlight=False, markup=False)
    elif not json:
        _print_page(console, name)


def _list(console: "Console", task: str | None, word: str | None, *, backbones: bool, as_json: bool) -> None:
    from snellen import recipes

    found = recipes.found_models(task=task, word=word)
    if as_json:
        listed: Any = recipes.listing_json(found)
        console.file.write(json_module.dumps(listed, indent=1) + "\n")
    elif backbones:
        console.print(recipes.backbone_list())
    else:
        if found:
            console.print(recipes.model_list(found))
        shallow = recipes.shallow_parts(task=task, word=word)
        if shallow is not None:
            console.print(recipes.shallow_list(shallow))


def _print_description(console: "Console", described: "ModelDescription", speed: str | None, depth: int) -> None:
    from snellen import recipes

    console.print(recipes.description_lines(described), highlight=False, markup=False)
    if speed is not None:
        console.print(speed, highlight=False, markup=False)
    if depth:
        console.print()
        console.print(recipes.layers_text(described, depth=depth))
        console.print()


def _print_page(console: "Console", name: str) -> None:
    from rich.markdown import Markdown

    from snellen import recipes

    page = recipes.system_page(name)
    if page is not None:
        console.print()
        console.print(Markdown(page))
