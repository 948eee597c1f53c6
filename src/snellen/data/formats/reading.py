"""From a path to an index: the format is recognised, or given."""

from pathlib import Path

from snellen.data.formats.catalog import FORMATS, Format
from snellen.data.formats.options import ReadOptions
from snellen.data.formats.other_tasks import read_as
from snellen.data.images import is_image_name
from snellen.data.index import DatasetIndex
from snellen.errors import ConfigError, DatasetError, did_you_mean

__all__ = ["load", "recognised", "write"]

SHOWN_ENTRIES = 12  # names of a folder that a message lists


def load(
    path: Path | str,
    *,
    format: str | None = None,  # noqa: A002  # the name that the command line has
    images: Path | str | None = None,
    classes: tuple[str, ...] | None = None,
    ignore_index: int | None = None,
    task: str | None = None,
    columns: tuple[str, ...] | None = None,
    separator: str | None = None,
) -> DatasetIndex:
    """Return the index of a data set in any of the known formats.

    What is wrong with single images or objects is in the index's ``problems``.

    Args:
        path: File or folder.
        format: Name of a format, if it should not be recognised.
        images: Folder of the image files, if they do not lie beside the annotations.
        classes: Names in label order, where the files give none, or to fix their order.
        ignore_index: Raw value of mask pixels that count for nothing.
        task: What is learned of an image (``box``, ``class``, ``label_set``, ``mask`` or ``value``), where the files
            allow more than one reading; objects, too, can be read as the label set that an image shows, and their
            outlines as masks of classes.
        columns: Of a table, those with labels or values, if the header does not say which they are.
        separator: Between the labels in a cell of a table.

    Raises:
        ConfigError: If there is no such format or task.
        DatasetError: If nothing is there, no format or several are recognised, or nothing can be read.
    """
    place = Path(path)
    chosen = _named(format) if format is not None else recognised(place)
    if not place.exists():
        raise _nothing_at(place)
    options = ReadOptions(
        images=None if images is None else Path(images),
        classes=classes,
        ignore_index=ignore_index,
        task=task,
        columns=columns,
        separator=separator,
    )
    target = options.target
    index = chosen.read(place, options)
    return index if target is None else read_as(index, target)


def write(index: DatasetIndex, folder: Path | str, *, format: str) -> None:  # noqa: A002  # as in load
    """Write a data set into an empty folder in one of the known formats; images are copied.

    Raises:
        ConfigError: If there is no such format.
        InputError: If the format cannot hold such annotations, or the folder is not empty.
    """
    _named(format).write(index, Path(folder))


def recognised(path: Path) -> Format:
    """Return the format that a path looks like.

    Raises:
        DatasetError: If nothing is there, or it looks like no format or like several.
    """
    if not path.exists():
        raise _nothing_at(path)
    found = [entry for entry in FORMATS if entry.recognise(path)]
    names = {entry.name for entry in found}
    best = [entry for entry in found if not names & set(entry.yields_to)]
    if len(best) == 1:
        return best[0]
    looked_for = "\n".join(f"  {entry.name}: {entry.looks_for}" for entry in FORMATS)
    if names:
        advice = f"found {', '.join(sorted(names))}. Say which one it is with format (--format)."
    else:
        advice = f"found {_entries(path)}. {_advice(path)}"
    raise DatasetError(f"exactly one known format was expected; {advice}\nKnown formats:\n{looked_for}", file=path)


def _nothing_at(path: Path) -> DatasetError:
    """Return what to say of a path where nothing is: a neighbour of nearly the same name, if there is one."""
    if path.parts[:1] == ("file:",):
        return DatasetError("a path was expected, not an address. Write it without file://.", file=path)
    try:
        beside = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        beside = []
    near = did_you_mean(path.name, beside) if path.parent.is_dir() else f" There is no folder {path.parent} either."
    hint = near if near.startswith((" Did", " There")) else " Check the path."
    return DatasetError(f"a file or folder was expected; nothing is there.{hint}", file=path)


def _advice(path: Path) -> str:
    """Return what to do with a path that looks like no format."""
    names = [path.name] if path.is_file() else [entry.name for entry in path.iterdir()]
    if any(is_image_name(name) for name in names):
        return (
            "Images alone tell nothing to learn: put those of each class into a folder of its own, or add annotations."
        )
    return "Check the path, or say how it is to be read with format (--format)."


def _named(name: str) -> Format:
    for entry in FORMATS:
        if entry.name == name:
            return entry
    known = [entry.name for entry in FORMATS]
    raise ConfigError(f"format must be one of {', '.join(known)}; got {name!r}.{did_you_mean(name, known)}")


def _entries(path: Path) -> str:
    if path.is_file():
        return f"a file of {path.stat().st_size} bytes"
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in path.iterdir())
    shown = ", ".join(names[:SHOWN_ENTRIES]) or "an empty folder"
    return shown + (f" and {len(names) - SHOWN_ENTRIES} more" if len(names) > SHOWN_ENTRIES else "")
