"""Tensors in values of any form."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

__all__ = ["flat_tensors"]


def flat_tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a value: itself, or those in containers and records, in their order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from flat_tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from flat_tensors(part)
    else:
        for name in getattr(type(value), "__dataclass_fields__", ()):
            yield from flat_tensors(getattr(value, name))
