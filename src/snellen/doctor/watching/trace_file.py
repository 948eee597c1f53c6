"""Traces on disk: records behind one another, each readable as soon as it is written."""

from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec

from snellen.doctor.watching.rows import Happening, LayerColumn, ParameterColumn, StepRow, ValidationRow
from snellen.doctor.watching.trace import Trace, TraceHead, TraceRows
from snellen.errors import InputError, SnellenError

__all__ = ["TRACE_FILE", "TraceWriter", "read_trace"]

TRACE_FILE = "trace.msgpack"
_VERSION = 1
_LENGTH_BYTES = 4  # before each record


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    version: int = 0
    head: TraceHead | None = None
    step: StepRow | None = None
    validation: ValidationRow | None = None
    happening: Happening | None = None
    is_over: bool = False


class TraceWriter:
    """Keeps rows in memory and, with a folder, on disk: each is there as soon as it is written.

    Args:
        layers: See `Trace`.
        parameters: See `Trace`.
        planned_steps: See `Trace`.
        device: See `Trace`.
        plan: See `Trace`.
        folder: Where ``trace.msgpack`` goes, or None. One that is there is gone on with if it is of the same
            parameters and layers.
    """

    def __init__(
        self,
        *,
        layers: Iterable[LayerColumn],
        parameters: Iterable[ParameterColumn],
        planned_steps: int | None = None,
        device: str = "cpu",
        plan: dict[str, Any] | None = None,
        folder: Path | None = None,
    ) -> None:
        head = TraceHead(
            layers=tuple(layers),
            parameters=tuple(parameters),
            planned_steps=planned_steps,
            device=device,
            plan=plan,
        )
        self._rows = TraceRows(head=head)
        self._encoder = msgspec.msgpack.Encoder()
        self._file = None if folder is None else folder / TRACE_FILE
        self._stream: FileIO | None = None
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            former = _former(self._file, head)
            if former is None:
                self._file.write_bytes(self._packed(_Record(version=_VERSION, head=head)))
            else:
                self._rows = former

    @property
    def last_step(self) -> int:
        """The number of the last step that was written; 0 if there is none."""
        return self._rows.steps[-1].step if self._rows.steps else 0

    def write(self, row: StepRow | ValidationRow | Happening) -> None:
        """Add a row, see `TraceRows.add`."""
        self._rows.add(row)
        if isinstance(row, StepRow):
            record = _Record(step=row)
        elif isinstance(row, ValidationRow):
            record = _Record(validation=row)
        else:
            record = _Record(happening=row)
        self._append(record)

    def end(self) -> None:
        """Note that the training came to its end."""
        self._rows.is_over = True
        self._append(_Record(is_over=True))

    def close(self) -> None:
        """Let go of the file; it is opened again if more comes."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def trace(self) -> Trace:
        """Return what was written so far."""
        return self._rows.trace()

    def _append(self, record: _Record) -> None:
        if self._file is None:
            return
        if self._stream is None:
            self._stream = FileIO(self._file, "ab")  # unbuffered: what is written is there for whoever reads
        self._stream.write(self._packed(record))

    def _packed(self, record: _Record) -> bytes:
        content = self._encoder.encode(record)
        return len(content).to_bytes(_LENGTH_BYTES, "big") + content


def _former(file: Path, head: TraceHead) -> TraceRows | None:
    """Return what the file holds if it is a trace of the same training; its broken end, if it has one, is cut off."""
    if not file.is_file():
        return None
    try:
        rows, length = _decoded(file.read_bytes(), file)
    except SnellenError:
        return None
    is_same = rows.head.parameters == head.parameters and [c.name for c in rows.head.layers] == [
        c.name for c in head.layers
    ]
    if not is_same:
        return None
    with file.open("r+b") as stream:
        stream.truncate(length)
    return rows


def read_trace(folder: Path | str) -> Trace:
    """Return the trace of a run.

    Args:
        folder: Of the run, or the file itself.

    Raises:
        InputError: If there is none, or it cannot be read.
    """
    path = Path(folder)
    file = path / TRACE_FILE if path.is_dir() else path
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"expected a trace of a training in {file}; {error.strerror or error}. Train with snellen.watch(…, "
            "folder=…), or with `snellen train`, to have one."
        ) from error
    return _decoded(content, file)[0].trace()


def _decoded(content: bytes, file: Path) -> tuple[TraceRows, int]:
    """Return the rows and the number of bytes that hold whole records; a record that was cut off is left out."""
    decoder = msgspec.msgpack.Decoder(_Record)
    rows: TraceRows | None = None
    start = 0
    while start + _LENGTH_BYTES <= len(content):
        end = start + _LENGTH_BYTES + int.from_bytes(content[start : start + _LENGTH_BYTES], "big")
        if end > len(content):
            break
        try:
            record = decoder.decode(content[start + _LENGTH_BYTES : end])
        except msgspec.DecodeError as error:
            raise InputError(f"{file} is no trace that can be read, from byte {start} on: {error}.") from error
        if rows is None:
            if record.head is None or record.version != _VERSION:
                raise InputError(f"expected a trace of version {_VERSION} in {file}; got version {record.version}.")
            rows = TraceRows(head=record.head)
        for row in (record.step, record.validation, record.happening):
            if row is not None:
                rows.add(row)
        rows.is_over = rows.is_over or record.is_over
        start = end
    if rows is None:
        raise InputError(f"{file} holds no trace: it has {len(content)} bytes and no whole record.")
    return rows, start
