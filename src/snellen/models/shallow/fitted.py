"""What was solved for rather than descended to: arrays whose sizes the data decide, inside a state dict.

A state dict holds numbers and nothing else, so that loading one runs no code of whoever wrote it. What a learner reads
of it is checked when it is loaded: kinds of numbers, sizes that must agree, and whatever else its `Schema` demands.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snellen.errors import CheckpointError

__all__ = ["Arrays", "FittedArrays", "Schema", "Sizes", "check_arrays"]

Arrays = Mapping[str, NDArray[Any]]
Sizes = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What arrays must be to be what a learner left behind.

    Attributes:
        arrays: For each name the kind of number (``f`` real, ``i`` whole) and the size of every axis, by a letter that
            stands for one size throughout, or as a number.
        optional: Names that may be absent.
        faults: Returns what else is wrong, given the arrays and the sizes; empty if nothing is.
    """

    arrays: Mapping[str, tuple[str, tuple[str | int, ...]]]
    optional: frozenset[str] = frozenset()
    faults: Callable[[Arrays, Sizes], str] | None = None


def check_arrays(arrays: Arrays, schema: Schema, known: Sizes) -> None:
    """Refuse arrays that are not what a learner leaves behind.

    Args:
        arrays: As they were loaded.
        schema: What they must be.
        known: Sizes that are known before, by letter.

    Raises:
        CheckpointError: If there are others, or one has another size or kind of number or a value out of range.
    """
    missing = schema.arrays.keys() - arrays.keys() - schema.optional
    strange = arrays.keys() - schema.arrays.keys()
    if missing or strange:
        raise CheckpointError(
            f"what was fitted must hold {', '.join(schema.arrays)}; got {', '.join(sorted(arrays)) or 'nothing'}."
            f"{_AGAIN}"
        )
    sizes = dict(known)
    for name, array in arrays.items():
        kind, axes = schema.arrays[name]
        if array.dtype.kind != kind or array.ndim != len(axes):
            raise CheckpointError(
                f"{name} must have {len(axes)} axes of {_KINDS[kind]}; got {array.dtype} {list(array.shape)}.{_AGAIN}"
            )
        for axis, size in zip(axes, array.shape, strict=True):
            wanted = axis if isinstance(axis, int) else sizes.setdefault(axis, size)
            if size != wanted:
                raise CheckpointError(
                    f"{name} must have {wanted} entries along the axis {axis!r}; got {list(array.shape)}.{_AGAIN}"
                )
        if kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f"{name} must hold finite numbers; got nan or infinity.{_AGAIN}")
    wrong = schema.faults(arrays, sizes) if schema.faults is not None else ""
    if wrong:
        raise CheckpointError(f"{wrong}{_AGAIN}")


_AGAIN = " The file was changed or damaged: restore it, or train again."
_KINDS = {"f": "real numbers", "i": "whole numbers"}


class FittedArrays(nn.Module):
    """Named arrays that are part of a model's state; none before a fit.

    They stay on the processor, where they are used, and keep their precision.
    """

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[str, Tensor] = {}

    def take(self, arrays: Arrays) -> None:
        """Replace what was fitted before."""
        self.numbers = {name: torch.from_numpy(np.array(array, order="C")) for name, array in arrays.items()}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was fitted; empty before a fit."""
        return {name: tensor.numpy() for name, tensor in self.numbers.items()}

    @property
    def num_bytes(self) -> int:
        """What they take in memory and in a file."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.numbers.values())

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:  # noqa: FBT001 - torch's
        del keep_vars
        destination.update({prefix + name: tensor for name, tensor in self.numbers.items()})

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,  # noqa: FBT001 - torch's signature
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        del local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        found = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
        wrong = [name for name, value in found.items() if not isinstance(value, Tensor)]
        if wrong:
            raise CheckpointError(f"{prefix}{wrong[0]} must be a tensor; got {type(found[wrong[0]]).__name__}.{_AGAIN}")
        if found:
            self.numbers = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in found.items()}
