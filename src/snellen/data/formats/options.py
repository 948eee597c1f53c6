"""What a caller can tell a reader that the files do not say."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from snellen.errors import ConfigError, did_you_mean
from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, Target, ValueTarget

__all__ = ["TASKS", "ReadOptions", "target_of_task", "task_of"]

# The words of users for what is learned of an image.
TASKS: Mapping[str, type[Target]] = MappingProxyType(
    {
        "box": BoxTarget,
        "class": ClassTarget,
        "label_set": LabelSetTarget,
        "mask": MaskTarget,
        "value": ValueTarget,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Facts about a data set that its files leave open.

    Attributes:
        images: Folder of the image files, where they do not lie beside the annotations.
        classes: Names in label order, where the files give only numbers, or to fix their order.
        ignore_index: Raw value of mask pixels that count for nothing, such as 11 for CamVid.
        task: A word of ``TASKS`` for what is learned, where the files allow more than one reading.
        columns: Of a table, those with labels or values, where the header does not say which they are.
        separator: Between the labels in a cell of a table.
    """

    images: Path | None = None
    classes: tuple[str, ...] | None = None
    ignore_index: int | None = None
    task: str | None = None
    columns: tuple[str, ...] | None = None
    separator: str | None = None

    @property
    def target(self) -> type[Target] | None:
        """What is learned, or None where nobody said."""
        return None if self.task is None else target_of_task(self.task)


def target_of_task(task: str) -> type[Target]:
    """Return the type of target for a word of ``TASKS``.

    Raises:
        ConfigError: If there is no such word.
    """
    if task not in TASKS:
        raise ConfigError(f"task must be one of {', '.join(TASKS)}; got {task!r}.{did_you_mean(task, TASKS)}")
    return TASKS[task]


def task_of(target_type: type[Target]) -> str:
    """Return the word for a type of target."""
    return next(word for word, kind in TASKS.items() if kind is target_type)
