"""A base of the user's cache that several processes use at once, and that is never worth an error."""

import sqlite3
from pathlib import Path

__all__ = ["QUERY_ROWS", "opened_base"]

QUERY_ROWS = 500  # below SQLite's least limit of variables in a query, 999
WAIT_SECONDS = 10.0  # for another process that writes


def opened_base(file: Path, schema: str) -> sqlite3.Connection:
    """Return the base in a file, or one in memory where the disk refuses, or the file is damaged.

    A damaged file is removed, so that the next call begins anew.

    Args:
        file: Of the base; its folder is made.
        schema: Statements that make the tables if they are not there.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(file, timeout=WAIT_SECONDS)
        base.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {schema}")
    except (sqlite3.OperationalError, OSError):  # read-only, locked for long, or no such file system feature
        return _in_memory(schema)
    except sqlite3.DatabaseError:
        file.unlink(missing_ok=True)
        return _in_memory(schema)
    return base


def _in_memory(schema: str) -> sqlite3.Connection:
    base = sqlite3.connect(":memory:")
    base.executescript(schema)
    return base
