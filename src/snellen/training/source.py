"""Where batches come from, as the loop sees it."""

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

from snellen.structures import Batch

__all__ = ["BatchSource"]


@runtime_checkable
class BatchSource(Protocol):
    """Batches of an epoch, in an order that is a function of the seed and the epoch only."""

    @property
    def skipped(self) -> Mapping[str, str]:
        """Files that could not be read so far, with the reason."""

    def __len__(self) -> int:
        """Return the number of batches per epoch, the same for every epoch (and on every rank)."""

    def epoch(self, epoch: int, *, first_batch: int = 0) -> Iterator[Batch]:
        """Return the batches of ``epoch`` from number ``first_batch`` on, equal however often it is asked."""
