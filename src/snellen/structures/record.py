"""What every structure of tensors can do: move, pin, pick one of a batch."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

__all__ = ["TensorRecord"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TensorRecord:
    """A frozen record whose fields are tensors, None, or records of tensors."""

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Return a copy with ``change`` applied to every tensor field."""
        changed: dict[str, Tensor | TensorRecord] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                changed[field.name] = change(value)
            elif isinstance(value, TensorRecord):
                changed[field.name] = value.map(change)
        return replace(self, **changed)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """Return a copy on ``device``."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """Return a copy in page-locked memory (called by the data loader)."""
        return self.map(Tensor.pin_memory)

    def __getitem__(self, index: int) -> Self:
        """Return element ``index`` of the leading batch axis."""
        return self.map(lambda tensor: tensor[index])
