"""Watching a training while it runs."""

from snellen.doctor.watching.board import Board
from snellen.doctor.watching.rows import Happening, HappeningKind, LayerColumn, ParameterColumn, StepRow, ValidationRow
from snellen.doctor.watching.trace import Trace, trace_of
from snellen.doctor.watching.trace_file import TRACE_FILE, read_trace

__all__ = [
    "TRACE_FILE",
    "Board",
    "Happening",
    "HappeningKind",
    "LayerColumn",
    "ParameterColumn",
    "StepRow",
    "Trace",
    "ValidationRow",
    "read_trace",
    "trace_of",
]
