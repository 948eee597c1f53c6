"""snellen models."""

from typing import Annotated

import typer

__all__ = ["models"]


def models(
    name: Annotated[str | None, typer.Argument(help="A model or a system; all models if left out.")] = None,
    num_classes: Annotated[int, typer.Option(help="Decides the size of the head.", min=1)] = 10,
    size: Annotated[int | None, typer.Option(help="Side of the input in pixels.", min=32)] = None,
) -> None:
    """List the models, or describe one: parameters, operations, receptive fields, options, the page of its system.

    [bold]Examples[/bold]

    snellen models

    snellen models rcnn

    snellen models faster_rcnn_r50_fpn --num-classes 3
    """
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.table import Column, Table

    from snellen import recipes
    from snellen.data import task_of

    console = Console()
    if name is None:
        width = max(len(entry.name) for entry in recipes.models())  # a name that is cut short is of no use
        table = Table(Column("name", min_width=width, no_wrap=True), "learns from", "what it is", box=None)
        for entry in recipes.models():
            kinds = ", ".join(task_of(kind) for kind in entry.target_types)
            table.add_row(entry.name, f"{kinds}, outline" if entry.masks else kinds, entry.summary)
        console.print(table)
        return
    if any(entry.name == name for entry in recipes.models()):
        described = recipes.describe(name, num_classes=num_classes, size=size)
        console.print(recipes.description_lines(described), highlight=False)
        console.print(recipes.option_lines(name), highlight=False, markup=False)
        console.print()
    page = recipes.system_page(name)
    if page is None:
        recipes.describe(name)  # raises for a name that nothing has, and suggests a near one
        return
    console.print(Markdown(page))
