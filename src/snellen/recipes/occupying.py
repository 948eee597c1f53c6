"""One process at a time trains a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from snellen.errors import CheckpointError
from snellen.training import current_ranks

__all__ = ["occupied"]

LOCK = ".lock"  # within the run's folder; the system frees it when the process ends, however it ends


@contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Keep other processes from training the run in ``folder`` meanwhile; of several ranks the first does.

    Raises:
        CheckpointError: If one is at it already.
    """
    if current_ranks().rank != 0:
        yield
        return
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise CheckpointError(
            f"{folder}: expected a run that nobody is training; another process is at it and would write the same "
            f"checkpoints. Wait until it has ended, or stop it; then go on with: snellen train --resume {folder}"
        ) from None
    try:
        yield
    finally:
        lock.release()
