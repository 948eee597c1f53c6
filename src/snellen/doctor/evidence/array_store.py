"""Arrays that are a function of known content, in the user's cache."""

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snellen.doctor.evidence.image_store import default_image_folder

__all__ = ["recalled", "stamp"]

VERSION = 1  # of what is measured; another number forgets what was kept
_NAME = "array"


def recalled(
    kind: str, contents: Iterable[bytes], folder: Path | None, measure: Callable[[], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return what was measured before of the same content, or measure and keep it.

    Args:
        kind: Of what is measured.
        contents: What it is a function of.
        folder: Of the cache; that of the user if None.
        measure: Called if nothing is known.
    """
    digest = hashlib.sha256(f"{kind} {VERSION}".encode())
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    file = (folder or default_image_folder()) / "vectors" / f"{kind}-{digest.hexdigest()[:24]}.npz"
    try:
        with np.load(file) as stored:
            return np.asarray(stored[_NAME], np.float32)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):  # absent or damaged
        array = measure()
        _keep(file, array)
        return array


def stamp(path: Path) -> bytes:
    """Return what changes when a file does: its path, size and time."""
    try:
        found = path.stat()
    except OSError:
        return f"{path} -".encode(errors="surrogateescape")
    return f"{os.fspath(path)} {found.st_size} {found.st_mtime_ns}".encode(errors="surrogateescape")


def _keep(file: Path, array: NDArray[np.float32]) -> None:
    """Write so that another process sees all or nothing; do without where the disk refuses."""
    passing = file.with_name(f"{file.stem}.{os.getpid()}.tmp.npz")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(passing, **{_NAME: array})  # type: ignore[arg-type]  # numpy's other keywords
        passing.replace(file)
    except OSError:
        passing.unlink(missing_ok=True)
