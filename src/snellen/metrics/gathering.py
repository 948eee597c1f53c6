"""What every accumulator does alike: checks, and one entry for each image."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from snellen.errors import InputError

__all__ = ["add_entries", "check_classes", "check_lengths"]

Entry = TypeVar("Entry")


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the names as a tuple.

    Raises:
        InputError: If there is none, or one stands twice.
    """
    names = tuple(classes)
    if not names or len(set(names)) < len(names):
        raise InputError(
            f"classes must be at least one name, each different; got {list(names)}. Pass the names of the data set."
        )
    return names


def check_lengths(predictions: Sequence[object], targets: Sequence[object], indices: Sequence[int]) -> None:
    """Raise InputError unless the three are equally long."""
    if not len(predictions) == len(targets) == len(indices):
        raise InputError(
            "predictions, targets and indices must have one entry for each image; got "
            f"{len(predictions)}, {len(targets)} and {len(indices)}. Pass those of the same batch."
        )


def add_entries(store: dict[int, Entry], new: Mapping[int, Entry]) -> None:
    """Add images to what was seen.

    Raises:
        InputError: If an image is there already: it would count twice.
    """
    twice = sorted(store.keys() & new.keys())
    if twice:
        raise InputError(
            f"every image may be measured once; rows {twice[:5]} of the data set came twice "
            f"({len(twice)} in all). Give each shard its own rows and do not repeat images to fill up "
            "batches."
        )
    store.update(new)
