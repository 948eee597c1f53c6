"""Options that say how a data set is read: the same for every command that reads one."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snellen.cli.choices import comma_list

if TYPE_CHECKING:  # importing it takes seconds
    from snellen.data import ReadOptions

__all__ = ["Columns", "Separator", "Task", "TaskName", "read_options"]


class TaskName(StrEnum):
    """What is learned of an image."""

    box = "box"
    one_class = "class"
    label_set = "label_set"
    mask = "mask"
    value = "value"


Task = Annotated[
    TaskName | None,
    typer.Option(help="What is learned, where files allow more; boxes can be read as label sets, outlines as masks."),
]
Columns = Annotated[str | None, typer.Option(help="Of a table: those with labels or values, with commas between.")]
Separator = Annotated[str | None, typer.Option(help="Between labels in a cell of a table: ; or | or space …")]


def read_options(
    *,
    images: Path | None,
    classes: str | None,
    ignore_index: int | None,
    task: TaskName | None,
    columns: str | None,
    separator: str | None,
) -> "ReadOptions":
    """Return what the options say."""
    from snellen.data import ReadOptions

    return ReadOptions(
        images=images,
        classes=comma_list(classes),
        ignore_index=ignore_index,
        task=None if task is None else task.value,
        columns=comma_list(columns),
        separator=separator,
    )
