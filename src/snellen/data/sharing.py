"""Records of arrays that worker processes read without copying them.

A forked worker sees the parent's arrays as they are, because nothing counts references inside an array's
buffer. For a spawned worker the arrays move into shared memory once, when the first worker is started, and
every worker maps them. An ordinary pickle (to disk, to a string) holds the values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import get_spawning_popen
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["SharedRecord", "Strings", "ragged_rows", "taken_ragged"]

SHARE_FLOOR_BYTES = 65536  # smaller arrays are copied: a mapping and its file descriptor would cost more
ROWS_AT_ONCE = 65536  # the positions of their elements are held at one time
_SHARED = "_shared_tensors"
Element = TypeVar("Element", bound=np.generic)


class SharedRecord:
    """Base of frozen dataclasses whose numpy arrays are shared with spawned processes."""

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name != _SHARED}
        if get_spawning_popen() is None:
            return state
        shared: dict[str, Tensor] = self.__dict__.setdefault(_SHARED, {})
        for name, value in state.items():
            if isinstance(value, np.ndarray) and value.nbytes >= SHARE_FLOOR_BYTES:
                if name not in shared:
                    shared[name] = _shared_copy(value)
                    object.__setattr__(self, name, shared[name].numpy())  # frees the private copy
                state[name] = shared[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        shared = {name: value for name, value in state.items() if isinstance(value, Tensor)}
        self.__dict__.update(state)
        self.__dict__.update({name: tensor.numpy() for name, tensor in shared.items()})
        self.__dict__[_SHARED] = shared


def _shared_copy(array: NDArray[Any]) -> Tensor:
    tensor = torch.empty(array.shape, dtype=torch.from_numpy(np.empty(0, array.dtype)).dtype)
    tensor.share_memory_()  # type: ignore[no-untyped-call]
    tensor.numpy()[...] = array
    return tensor


def ragged_rows(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the offsets of the chosen rows of a ragged array, and which of its elements to take.

    Args:
        offsets: Row ``i`` has the elements ``offsets[i]:offsets[i + 1]``; shape ``[n + 1]``.
        rows: Which rows, in any order.

    Returns:
        The new offsets ``[len(rows) + 1]`` and the positions of the elements in the old flat array.
    """
    starts = offsets[rows]
    lengths = offsets[rows + 1] - starts
    new_offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    elements = np.repeat(starts - new_offsets[:-1], lengths) + np.arange(new_offsets[-1])
    return new_offsets, elements


def taken_ragged(
    flat: NDArray[Element], offsets: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[Element], NDArray[np.int64]]:
    """Return the chosen rows of a ragged array, and their offsets, in little extra memory.

    Args:
        flat: The elements of all rows, one row behind the other.
        offsets: See `ragged_rows`.
        rows: Which rows, in any order.
    """
    lengths = offsets[rows + 1] - offsets[rows]
    new_offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    taken = np.empty(int(new_offsets[-1]), flat.dtype)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        place = slice(new_offsets[start], new_offsets[start + len(part)])
        taken[place] = flat[ragged_rows(offsets, part)[1]]
    return taken, new_offsets


@dataclass(frozen=True, eq=False, kw_only=True)
class Strings(SharedRecord):
    """Many strings in one buffer.

    Attributes:
        buffer: UTF-8 bytes of all strings, one behind the other.
        offsets: String ``i`` is ``buffer[offsets[i]:offsets[i + 1]]``.
    """

    buffer: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @classmethod
    def pack(cls, values: Sequence[str]) -> Self:
        """Return the strings in one buffer; undecodable file names survive."""
        encoded = [value.encode("utf-8", "surrogateescape") for value in values]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        return cls(buffer=np.frombuffer(b"".join(encoded), np.uint8), offsets=offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        part = self.buffer[self.offsets[index] : self.offsets[index + 1]]
        return part.tobytes().decode("utf-8", "surrogateescape")

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the chosen strings."""
        buffer, offsets = taken_ragged(self.buffer, self.offsets, rows)
        return type(self)(buffer=buffer, offsets=offsets)
