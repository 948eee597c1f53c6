"""Records of images that were measured before, in the user's cache.

A file with the path, size and time of change of an earlier one is taken for the same. Otherwise its content decides: a
file that was moved, copied or touched is read again, but not decoded.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snellen.doctor.evidence.picture import RECORD
from snellen.imaging.shared_base import QUERY_ROWS, opened_base

__all__ = ["FileStamp", "ImageStore", "default_image_folder"]

VERSION = 2  # of what is measured; another number forgets the records of before

_TABLES = """
CREATE TABLE IF NOT EXISTS contents (hash BLOB PRIMARY KEY, bytes INTEGER, error TEXT, record BLOB);
CREATE INDEX IF NOT EXISTS contents_of_size ON contents (bytes);
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, bytes INTEGER, changed INTEGER, hash BLOB) WITHOUT ROWID;
"""


class FileStamp(NamedTuple):
    """What tells a file without reading it.

    Attributes:
        path: Absolute.
        num_bytes: Its size.
        changed: Time of its last change, in nanoseconds.
    """

    path: str
    num_bytes: int
    changed: int


class ImageStore:
    """Measured records on disk; several processes may use one folder.

    A store that is damaged or cannot be written is begun anew, or does without the disk.

    Args:
        folder: Of the cache; `default_image_folder` if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        layout = hashlib.sha256(f"{VERSION} {RECORD.descr}".encode()).hexdigest()[:12]
        self.file = (default_image_folder() if folder is None else Path(folder)) / f"{layout}.sqlite3"
        self._base = opened_base(self.file, _TABLES)

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def recall(self, stamps: Sequence[FileStamp], records: NDArray[Any], errors: dict[int, str]) -> list[int]:
        """Fill in the records of files that are known by their stamps.

        Args:
            stamps: One for each row.
            records: To be filled.
            errors: Reasons by row, to be filled.

        Returns:
            The rows of files that are not known.
        """
        unknown: list[int] = []
        for start in range(0, len(stamps), QUERY_ROWS):
            part = stamps[start : start + QUERY_ROWS]
            found = self._found([stamp.path for stamp in part])
            for row, stamp in enumerate(part, start):
                known = found.get(stamp.path)
                if known is None or known[:2] != stamp[1:]:
                    unknown.append(row)
                    continue
                records[row] = np.frombuffer(known[3], RECORD)[0]
                if known[2]:
                    errors[row] = known[2]
        return unknown

    def _found(self, paths: Sequence[str]) -> dict[str, tuple[int, int, str, bytes]]:
        query = (
            "SELECT path, files.bytes, changed, error, record FROM files JOIN contents USING (hash) WHERE path IN "
            f"({','.join('?' * len(paths))})"
        )
        with closing(self._base.execute(query, [_storable(path) for path in paths])) as rows:
            by_name = {row[0]: row[1:] for row in rows if len(row[4]) == RECORD.itemsize}
        return {path: by_name[_storable(path)] for path in paths if _storable(path) in by_name}

    def hashes_of_size(self, num_bytes: int) -> tuple[bytes, ...]:
        """Return the hashes of known contents with so many bytes."""
        with closing(self._base.execute("SELECT hash FROM contents WHERE bytes = ?", [num_bytes])) as rows:
            return tuple(row[0] for row in rows)

    def recall_content(self, content: bytes) -> tuple[Any, str] | None:
        """Return the record and the error of a content by its hash."""
        query = "SELECT record, error FROM contents WHERE hash = ?"
        with closing(self._base.execute(query, [content])) as rows:
            found = rows.fetchone()
        return None if found is None else (np.frombuffer(found[0], RECORD)[0], found[1])

    def keep(self, rows: Iterable[tuple[FileStamp, Any, str]]) -> None:
        """Store what was measured: stamp, record and error of each file."""
        listed = [(stamp, record, error, record["file_hash"].tobytes()) for stamp, record, error in rows]
        try:
            with self._base:
                self._base.executemany(
                    "INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?)",
                    [(hash_, int(record["file_bytes"]), error, record.tobytes()) for _, record, error, hash_ in listed],
                )
                self._base.executemany(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                    [(_storable(stamp.path), stamp.num_bytes, stamp.changed, hash_) for stamp, _, _, hash_ in listed],
                )
        except sqlite3.OperationalError:  # a full or locked disk: measured again next time
            return


def default_image_folder() -> Path:
    """Return ``images`` in the folder that ``SNELLEN_CACHE`` names, or in ``~/.cache/snellen``."""
    return Path(os.environ.get("SNELLEN_CACHE") or Path.home() / ".cache" / "snellen") / "images"


def _storable(path: str) -> str:
    """Return a path that SQLite takes: names that are no valid UTF-8 are kept apart by their escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
