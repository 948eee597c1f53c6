"""How data sets lie on disk: reading and writing."""

from snellen.data.formats.catalog import FORMATS, Format
from snellen.data.formats.options import TASKS, ReadOptions, task_of
from snellen.data.formats.reading import load, recognised, write

__all__ = ["FORMATS", "TASKS", "Format", "ReadOptions", "load", "recognised", "task_of", "write"]
