"""Saved runs: written whole or not at all, checked when read."""

import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snellen.errors import CheckpointError

__all__ = ["Checkpoint", "CheckpointStore", "read_checkpoint", "read_weights", "write_atomically"]

_FORMAT = "snellen-checkpoint"
_VERSION = 1
_SNAPSHOT = "snapshot-"
_RESUME_KEYS = ("model", "average", "optimizer", "progress", "settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What one file held.

    Attributes:
        path: The file.
        content: ``model`` (weights), ``notes`` (whatever the caller of the store wanted to keep) and, in the
            files ``last.pt``, everything that is needed to go on.
        notice: Why this file was read and not the newest; empty if it is the newest.
    """

    path: Path
    content: Mapping[str, Any]
    notice: str = ""

    @property
    def notes(self) -> Mapping[str, Any]:
        """What the caller of the store wanted to keep."""
        notes: Mapping[str, Any] = self.content["notes"]
        return notes

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The weights to use: the average where there is one."""
        average = self.content.get("average")
        is_begun = average is not None and average["updates"] > 0
        weights: Mapping[str, Tensor] = (average if is_begun else self.content)["model"]  # type: ignore[index]
        return weights


class CheckpointStore:
    """The checkpoints of one run, in one folder: ``last.pt``, the one before it, ``best.pt``, and any snapshots.

    Args:
        folder: Is made if it does not exist.
        notes: Kept in every file: numbers, strings, and dicts, lists and tuples of them.
    """

    def __init__(self, folder: Path | str, *, notes: Mapping[str, Any] | None = None) -> None:
        self.folder = Path(folder)
        self.notes = dict(notes or {})
        self.last = self.folder / "last.pt"
        self.previous = self.folder / "last.previous.pt"
        self.best = self.folder / "best.pt"

    def save_last(self, content: Mapping[str, Any]) -> Path:
        """Write ``last.pt``; what was there becomes ``last.previous.pt``."""
        write_atomically(self.last, self._labelled(content), keep=self.previous)
        return self.last

    def save_best(self, weights: Mapping[str, Tensor], *, score: float, epoch: int, step: int) -> Path:
        """Write ``best.pt``: weights and what they scored."""
        content = {"model": dict(weights), "score": score, "epoch": epoch, "step": step}
        write_atomically(self.best, self._labelled(content))
        return self.best

    def save_snapshot(self, weights: Mapping[str, Tensor], *, number: int, step: int) -> Path:
        """Write ``snapshot-NUMBER.pt``: the weights at the end of a cycle of the schedule, counted from 1."""
        path = self.folder / f"{_SNAPSHOT}{number}.pt"
        write_atomically(path, self._labelled({"model": dict(weights), "step": step}))
        return path

    @property
    def snapshots(self) -> tuple[Path, ...]:
        """The snapshots that are there, in the order in which they were taken."""
        found = {path: path.stem.removeprefix(_SNAPSHOT) for path in self.folder.glob(f"{_SNAPSHOT}*.pt")}
        return tuple(sorted((path for path, number in found.items() if number.isdigit()), key=lambda p: int(found[p])))

    def read_last(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, or None if nothing was saved yet.

        Raises:
            CheckpointError: If files are there but none is whole.
        """
        damage = []
        for path in (self.last, self.previous):
            if not path.exists():
                continue
            try:
                found = read_checkpoint(path, required=_RESUME_KEYS)
            except CheckpointError as error:
                damage.append(str(error))
            else:
                notice = f"{' '.join(damage)} Going on from {path.name} instead." if damage else ""
                return Checkpoint(path=path, content=found.content, notice=notice)
        if damage:
            raise CheckpointError(f"{' '.join(damage)} No older checkpoint is whole; start a new run.")
        return None

    def _labelled(self, content: Mapping[str, Any]) -> dict[str, Any]:
        versions = {"format": _FORMAT, "version": _VERSION, "torch": str(torch.__version__)}
        return {**versions, "notes": self.notes, **content}


def read_checkpoint(path: Path | str, *, required: tuple[str, ...] = ("model",)) -> Checkpoint:
    """Read and check one file.

    Args:
        path: A file that a ``CheckpointStore`` wrote.
        required: Entries that must be in it.

    Raises:
        CheckpointError: If the file is missing, damaged, foreign, or written by a later version.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a checkpoint; there is no such file. Check the path.")
    _check_archive(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected a checkpoint of Snellen; got a file that torch cannot load safely ({error}). "
            "Use a checkpoint that Snellen wrote."
        ) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CheckpointError(
            f"{path}: expected a checkpoint of Snellen; got something else. Use last.pt or best.pt of a run; "
            "weights from elsewhere are loaded with the weights option."
        )
    if content["version"] > _VERSION:
        raise CheckpointError(
            f"{path}: expected a checkpoint of format {_VERSION} or older; got {content['version']}. "
            "It was written by a newer Snellen; upgrade."
        )
    missing = [key for key in required if key not in content]
    if missing:
        raise CheckpointError(
            f"{path}: expected the entries {', '.join(required)}; {', '.join(missing)} not there. "
            "Only last.pt can be resumed; best.pt holds weights alone."
        )
    return Checkpoint(path=path, content=content)


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """Return the weights to use from any checkpoint: the average where there is one."""
    return dict(read_checkpoint(path).weights)


def write_atomically(path: Path, content: Mapping[str, Any], *, keep: Path | None = None) -> None:
    """Save ``content`` so that whoever reads ``path``, whenever, finds a whole file or the former one.

    The new file is written beside, forced to the disk, and only then put in place by a rename.

    Args:
        path: The file.
        content: For ``torch.save``.
        keep: Where the former file goes; None drops it. Between the two renames only ``keep`` exists.

    Raises:
        CheckpointError: If the disk is full or the folder cannot be written; the former file stays.
    """
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            torch.save(dict(content), file)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            os.replace(path, keep)  # noqa: PTH105  # tests interrupt this very call
        os.replace(unfinished, path)  # noqa: PTH105
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch's archive writer raises RuntimeError on a full disk
        raise CheckpointError(
            f"{path}: expected to save a checkpoint; got {error}. Free some disk space or allow writing "
            "there, then resume; the former checkpoint is untouched."
        ) from error


def _check_archive(path: Path) -> None:
    # torch.load does not compare the checksums that torch.save writes; zipfile does.
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        broken = str(error)
    if broken is not None:
        raise CheckpointError(
            f"{path}: expected a whole checkpoint; got a damaged file ({broken}). Delete it or copy it again."
        )


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened, and renames are durable by themselves
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
