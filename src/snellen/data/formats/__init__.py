"""How data sets lie on disk: reading and writing."""

from snellen.data.formats.catalog import FORMATS, Format
from snellen.data.formats.options import ReadOptions
from snellen.data.formats.reading import load, recognised, write

__all__ = ["FORMATS", "Format", "ReadOptions", "load", "recognised", "write"]
