"""Descriptions of images that were computed before, in the user's cache.

The pixels decide, so a file that was moved or renamed is known, and one image in two data sets is described once.
"""

import hashlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.imaging.shared_base import QUERY_ROWS, opened_base

__all__ = ["FeatureStore", "default_feature_folder", "description_key"]

VERSION = 1  # of how images are described; another number forgets what was kept

_TABLE = "CREATE TABLE IF NOT EXISTS descriptions (key BLOB PRIMARY KEY, array BLOB) WITHOUT ROWID"


class FeatureStore:
    """Arrays by key, on disk; several processes may use one folder.

    A store that is damaged or cannot be written is begun anew, or does without the disk.

    Args:
        folder: Of the cache; `default_feature_folder` if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.file = (default_feature_folder() if folder is None else Path(folder)) / f"v{VERSION}.sqlite3"
        self._base = opened_base(self.file, f"{_TABLE};")

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def recall(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[Any]]:
        """Return what is known, by key; what is damaged is not."""
        found: dict[bytes, NDArray[Any]] = {}
        for start in range(0, len(keys), QUERY_ROWS):
            part = list(keys[start : start + QUERY_ROWS])
            marks = ",".join("?" * len(part))
            try:
                with closing(
                    self._base.execute(f"SELECT key, array FROM descriptions WHERE key IN ({marks})", part)
                ) as rows:
                    read = {row[0]: _read(row[1]) for row in rows}
            except sqlite3.DatabaseError:  # damaged, or locked for long: described again
                continue
            found.update({key: array for key, array in read.items() if array is not None})
        return found

    def keep(self, arrays: Mapping[bytes, NDArray[Any]]) -> None:
        """Store arrays; where the disk refuses they are computed again next time."""
        try:
            with self._base:
                self._base.executemany(
                    "INSERT OR REPLACE INTO descriptions VALUES (?, ?)",
                    [(key, _written(array)) for key, array in arrays.items()],
                )
        except sqlite3.DatabaseError:
            return


def default_feature_folder() -> Path:
    """Return ``features`` in the folder that ``SNELLEN_CACHE`` names, or in ``~/.cache/snellen``."""
    return Path(os.environ.get("SNELLEN_CACHE") or Path.home() / ".cache" / "snellen") / "features"


def description_key(kind: str, pixels: NDArray[np.uint8]) -> bytes:
    """Return the key of a description.

    Args:
        kind: Names how images are described, with all settings.
        pixels: Of the image.
    """
    digest = hashlib.sha256(f"{kind}\0{pixels.shape}\0".encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.digest()


def _written(array: NDArray[Any]) -> bytes:
    file = BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _read(content: bytes) -> NDArray[Any] | None:
    try:
        array: Any = np.load(BytesIO(content), allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError):
        return None
    return array if isinstance(array, np.ndarray) else None
