"""Measuring many image files in several processes, each file once."""

import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

import joblib
import numpy as np
from numpy.typing import NDArray

from snellen.doctor.evidence import picture
from snellen.doctor.evidence.image_store import FileStamp, ImageStore
from snellen.doctor.evidence.picture import KNOWN, RECORD

__all__ = ["Progress", "scan_files"]

Progress = Callable[[int, int], None]  # images done, images in all

CHUNK_FILES = 32  # that a process is given at a time
WORTH_PROCESSES = 256  # files; fewer are done before processes have started
CRASHED = "the decoder crashed on this file"

_File: TypeAlias = tuple[str, tuple[bytes, ...]]
_Chunk: TypeAlias = tuple[Sequence[int], list[_File]]  # rows and files
_Answer: TypeAlias = tuple[Sequence[int], NDArray[Any], list[str]]


def scan_files(
    paths: Sequence[str],
    *,
    store: ImageStore,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> tuple[NDArray[Any], dict[int, str]]:
    """Return the records of image files ``[n]``, and why some cannot be read, by row.

    Args:
        paths: Of the files.
        store: Of what was measured before.
        workers: Processes to do it in; as many as there are cores if None. 0 does it in this one, as happens for a few
            files anyway.
        on_progress: Called from time to time.
    """
    records = np.zeros(len(paths), RECORD)
    errors: dict[int, str] = {}
    stamps = [_stamp(path) for path in paths]
    unknown = store.recall(stamps, records, errors)
    done = len(paths) - len(unknown)
    if on_progress is not None:
        on_progress(done, len(paths))
    for rows, measured, problems in _answers(_chunks(unknown, stamps, store), len(unknown), workers):
        fresh = []
        for row, record, problem in zip(rows, measured, problems, strict=True):
            known = store.recall_content(record["file_hash"].tobytes()) if problem == KNOWN else None
            records[row], error = known if known is not None else (record, problem)
            if error:
                errors[row] = error
            if record["file_bytes"] == stamps[row].num_bytes and error != CRASHED:
                fresh.append((stamps[row], records[row], error))
        store.keep(fresh)
        done += len(rows)
        if on_progress is not None:
            on_progress(done, len(paths))
    return records, errors


def _stamp(path: str) -> FileStamp:
    try:
        found = os.stat(path)  # noqa: PTH116 - making a Path takes longer than asking
    except OSError:
        return FileStamp(path, -1, 0)
    return FileStamp(path, found.st_size, found.st_mtime_ns)


def _chunks(rows: Sequence[int], stamps: Sequence[FileStamp], store: ImageStore) -> Iterator[_Chunk]:
    for start in range(0, len(rows), CHUNK_FILES):
        part = rows[start : start + CHUNK_FILES]
        yield part, [(stamps[row].path, store.hashes_of_size(stamps[row].num_bytes)) for row in part]


def _answers(chunks: Iterator[_Chunk], num_files: int, workers: int | None) -> Iterator[_Answer]:
    wanted = joblib.cpu_count() if workers is None else workers
    wanted = min(wanted, -(-num_files // CHUNK_FILES))
    if wanted <= 1 or num_files < WORTH_PROCESSES:
        for rows, files in chunks:
            yield rows, *picture.measured_files(files)
        return
    waiting: queue.Queue[_Chunk | None] = queue.Queue()
    answered: queue.Queue[_Answer | BaseException] = queue.Queue()
    helpers = [Thread(target=_drive, args=(waiting, answered), daemon=True) for _ in range(wanted)]
    for helper in helpers:
        helper.start()
    try:
        under_way = 0
        for chunk in chunks:
            waiting.put(chunk)
            under_way += 1
            if under_way >= 3 * wanted:  # chunks are made as they are needed: memory stays flat
                yield _taken(answered)
                under_way -= 1
        for _ in range(under_way):
            yield _taken(answered)
    finally:
        for _ in helpers:
            waiting.put(None)
        for helper in helpers:
            helper.join()


def _taken(answered: "queue.Queue[_Answer | BaseException]") -> _Answer:
    answer = answered.get()
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _drive(waiting: "queue.Queue[_Chunk | None]", answered: "queue.Queue[_Answer | BaseException]") -> None:
    """Pass chunks to a process of its own until there are no more."""
    measurer = _Measurer()
    try:
        while (chunk := waiting.get()) is not None:
            rows, files = chunk
            answered.put((rows, *measurer.measured(files)))
    except BaseException as error:  # noqa: BLE001 - raised where the answers are awaited
        answered.put(error)
    finally:
        measurer.close()


class _Measurer:
    """A process that measures files, started again whenever a decoder has taken it along."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def measured(self, files: list[_File]) -> tuple[NDArray[Any], list[str]]:
        """Return records and errors; a file over which the process dies is told as `CRASHED`."""
        answer = self._asked(files)
        if answer is not None:
            return answer
        if len(files) == 1:
            return np.zeros(1, RECORD), [CRASHED]
        parts = [self.measured([file]) for file in files]
        return np.concatenate([records for records, _ in parts]), [error for _, errors in parts for error in errors]

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):  # what the process had not read when it ended
                    stream.close()
        self._process = None

    def _asked(self, files: list[_File]) -> tuple[NDArray[Any], list[str]] | None:
        process = self._process = self._process or _started()
        if process.stdin is None or process.stdout is None:
            return None
        try:
            pickle.dump(files, process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            answer: tuple[NDArray[Any], list[str]] = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            self.close()
            return None
        return answer


def _started() -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", str(Path(picture.__file__).resolve())]  # -P: its neighbours shadow no library
    single = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=single)
