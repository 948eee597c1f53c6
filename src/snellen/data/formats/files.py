"""Finding files: images in folders, names of splits, paths relative to a root."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snellen.data.checking import read_headers
from snellen.data.images import is_image_name
from snellen.data.problems import ProblemLog
from snellen.errors import DatasetError

__all__ = [
    "FileFinder",
    "image_files",
    "read_lines",
    "relative",
    "split_codes",
    "split_name",
    "subfolders",
    "true_sizes",
]

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_ORDER = ("train", "train-dev", "val", "test")


def split_name(name: str) -> str | None:
    """Return ``train``, ``val`` or ``test`` for the usual names (``train2017``, ``valid``)."""
    letters = name.lower().rstrip("0123456789_-")
    return _SPLITS.get(letters)


def split_codes(names: Sequence[str]) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """Return the code of each image's split (-1 for an empty name) and the names, in the usual order."""
    found = set(names) - {""}
    ordered = tuple(sorted(found, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)))
    code = {name: number for number, name in enumerate(ordered)} | {"": -1}
    return np.fromiter((code[name] for name in names), np.int16, len(names)), ordered


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders in a folder, by name."""
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def image_files(folder: Path) -> list[Path]:
    """Return the image files in a folder and beneath it, by path."""
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        yield from (Path(parent, name) for name in names if is_image_name(name))


def relative(path: Path, root: Path) -> str:
    """Return a path relative to the root where it lies beneath it, else as it is."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return str(path)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, stripped, with a byte order mark removed.

    Raises:
        DatasetError: If it cannot be read or is no text.
    """
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        message = (
            f"text in UTF-8 was expected, but byte {error.start} is {error.object[error.start]:#x}. Save it as UTF-8."
        )
        raise DatasetError(message, file=path) from error
    except OSError as error:
        raise DatasetError(f"the file cannot be opened ({error.strerror}). Check that it exists.", file=path) from error


def true_sizes(paths: Sequence[Path], log: ProblemLog) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return the size of each image and whether its header could be read; report those that could not."""
    sizes = np.zeros((len(paths), 2), np.int32)
    readable = np.ones(len(paths), np.bool_)
    for row, found in enumerate(read_headers(paths)):
        if isinstance(found, DatasetError):
            readable[row] = False
            log.add("image-unreadable", f"left out: {found}", file=paths[row], severity="error")
        else:
            sizes[row] = found.size
    return sizes, readable


class FileFinder:
    """Answers whether files exist by listing each folder once: asking for 200,000 files one by one is slow.

    Args:
        folders: Where to look for a name that is not found as it is written.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(dict.fromkeys(folders))
        self._names: dict[Path, frozenset[str]] = {}

    def find(self, name: str) -> Path | None:
        """Return where a file is: as written beneath one of the folders, or there by its last part alone."""
        clean = name.replace("\\", "/")
        wanted = Path(clean)
        for folder in self._folders:
            if self._has(folder / wanted):
                return folder / wanted
        for folder in self._folders:
            if self._has(folder / wanted.name):
                return folder / wanted.name
        return None

    def find_stem(self, stem: str) -> Path | None:
        """Return the image file with this name apart from its ending."""
        for folder in self._folders:
            for name in self._listing(folder):
                if is_image_name(name) and name.rpartition(".")[0] == stem:
                    return folder / name
        return None

    def _has(self, path: Path) -> bool:
        return path.name in self._listing(path.parent)

    def _listing(self, folder: Path) -> frozenset[str]:
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(entry.name for entry in os.scandir(folder) if entry.is_file())
            except OSError:
                self._names[folder] = frozenset()  # a folder that is not there has no files
        return self._names[folder]
