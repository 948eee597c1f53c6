"""Proposals that somebody else computed, read from a file.

Formats: a ``.json`` list of COCO result entries, an ``.npz`` with an array per image, and the ``.mat`` of the selective
search authors and of Fast R-CNN.
"""

import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from torch import Tensor

from snellen.errors import DatasetError

__all__ = ["FileProposals", "read_proposals"]

SHOWN_NAMES = 3  # names of a file that a message lists


def read_proposals(file: Path) -> Mapping[str, Float[np.ndarray, "num_boxes 4"]]:
    """Read the boxes of every image that a file names.

    - ``.json``: a list of objects with ``bbox`` (x, y, width, height), ``file_name`` or ``image_id``, and perhaps
      ``score``.
    - ``.npz``: for each image an array ``[n, 4]`` or, with a score last, ``[n, 5]``, named by its file; xyxy.
    - ``.mat``: ``images`` (names) and ``boxes``, each ``[n, 4]`` of y1, x1, y2, x2 counted from 1, last pixel included.

    Args:
        file: Where they are.

    Returns:
        By name of the image as the file gives it: xyxy in pixels, continuous edges, not clipped; by score where there
        are scores, else in the order of the file.

    Raises:
        DatasetError: If the file is missing, of another kind, broken, or holds something else.
    """
    place = Path(file)
    reader = _READERS.get(place.suffix.lower())
    if place.suffix.lower() in {".pkl", ".pickle"}:
        message = (
            "a pickle executes code when it is read, so it is refused. Convert it in an environment that you trust: "
            "np.savez(out, **{name: boxes}) with xyxy boxes makes an .npz that can be read."
        )
        raise DatasetError(message, file=place)
    if reader is None:
        message = (
            f"proposals are read from {', '.join(_READERS)}; got {place.suffix or 'no suffix'!r}. Convert the file."
        )
        raise DatasetError(message, file=place)
    if not place.is_file():
        raise DatasetError("a file of proposals was expected; nothing is there. Check the path.", file=place)
    found = reader(place)
    if not found:
        raise DatasetError("proposals were expected, but the file holds none. Give another file.", file=place)
    return MappingProxyType(found)


class FileProposals:
    """Boxes of an image as a file of proposals has them.

    An image is looked up by its path relative to ``root``, then by its name, then by the name without suffix. Boxes
    that reach out of the image are clipped; those that are no boxes or lie outside are dropped. ``faults`` counts both.

    Args:
        file: See `read_proposals`.
        root: Folder to which the names in the file are relative; None goes by names alone.

    Raises:
        DatasetError: If the file cannot be read.
    """

    def __init__(self, file: Path, *, root: Path | None = None) -> None:
        self.file = Path(file)
        self.root = None if root is None else Path(root)
        boxes = read_proposals(self.file)
        self._boxes = dict(boxes)
        self._names = _unambiguous(boxes, lambda name: PurePosixPath(name).name)
        self._stems = _unambiguous(boxes, lambda name: PurePosixPath(name).stem)

    def __len__(self) -> int:
        """Return the number of images that have proposals."""
        return len(self._boxes)

    def __call__(self, path: Path, image: UInt8[Tensor, "3 height width"]) -> Float[Tensor, "num_boxes 4"]:
        """Return the boxes of an image.

        Args:
            path: Its file.
            image: Its pixels; boxes are clipped to it.

        Returns:
            xyxy in pixels, best first.

        Raises:
            DatasetError: If the file has none for it, or several images go by its name.
        """
        clipped, is_box = _clipped(self._boxes[self._key(Path(path))], (image.shape[1], image.shape[2]))
        return torch.from_numpy(clipped[is_box].astype(np.float32))

    def faults(self, images: Iterable[tuple[Path, tuple[int, int]]]) -> Mapping[str, int]:
        """Return how many boxes of images are ``"clipped"`` and ``"dropped"``, of how many in ``"all"``.

        Images that the file has no proposals for are left out: whoever reads them is told.

        Args:
            images: File, height and width of each.
        """
        found: Counter[str] = Counter(all=0, clipped=0, dropped=0)
        for path, size in images:
            try:
                boxes = self._boxes[self._key(path)]
            except DatasetError:
                continue
            clipped, is_box = _clipped(boxes, size)
            found["all"] += len(boxes)
            found["dropped"] += int((~is_box).sum())
            found["clipped"] += int((is_box & (clipped != boxes).any(axis=1)).sum())
        return found

    def _key(self, path: Path) -> str:
        relative = path.as_posix()
        if self.root is not None and path.is_relative_to(self.root):
            relative = path.relative_to(self.root).as_posix()
        if relative in self._boxes:
            return relative
        for names, name in ((self._names, path.name), (self._stems, path.stem)):
            if name in names:
                return self._only(names[name], path)
        shown = ", ".join(list(self._boxes)[:SHOWN_NAMES])
        message = (
            f"proposals for {path} were expected, by the name {relative!r}, {path.name!r} or {path.stem!r}; there are "
            f"{len(self._boxes)} images such as {shown}. Add this image to the file, or leave it out of the data set."
        )
        raise DatasetError(message, file=self.file)

    def _only(self, keys: tuple[str, ...], path: Path) -> str:
        if len(keys) == 1:
            return keys[0]
        message = (
            f"{path} may be any of {', '.join(keys[:SHOWN_NAMES])}. Name the images in the file by their path relative "
            f"to the data set's folder{'' if self.root is not None else ', and give that folder as root'}."
        )
        raise DatasetError(message, file=self.file)


def _clipped(boxes: NDArray[np.float32], size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return boxes cut at the edge of an image of ``size`` (height, width), and which of them are boxes then."""
    limits = np.array([size[1], size[0]] * 2, dtype=np.float32)
    is_finite = np.asarray(np.isfinite(boxes).all(axis=1))
    clipped: NDArray[np.float32] = np.clip(np.where(is_finite[:, None], boxes, 0), 0, limits)
    has_area = np.asarray((clipped[:, 2:] > clipped[:, :2]).all(axis=1))
    return clipped, is_finite & has_area


def _unambiguous(boxes: Mapping[str, Any], short: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    """Return the names that a short one may stand for."""
    found: dict[str, tuple[str, ...]] = {}
    for name in boxes:
        found[short(name)] = (*found.get(short(name), ()), name)
    return found


def _read_json(file: Path) -> dict[str, NDArray[np.float32]]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"JSON was expected, but it cannot be parsed ({error}). Write it again.", file=file
        ) from error
    if not isinstance(entries, list):
        message = f"a list of objects with bbox was expected, as in COCO results; got {type(entries).__name__}."
        raise DatasetError(message + " Write a list.", file=file)
    rows: dict[str, list[tuple[float, ...]]] = {}
    for number, entry in enumerate(entries):
        name, row = _json_row(entry, number, file)
        rows.setdefault(name, []).append(row)
    scored = {len(row) for boxes in rows.values() for row in boxes}
    if len(scored) > 1:
        raise DatasetError("either all entries or none must have a score; some have. Add or remove it.", file=file)
    found = {}
    for name, boxes in rows.items():
        table = np.array(boxes, dtype=np.float64)
        table[:, 2:4] += table[:, :2]
        found[name] = _by_score(table)
    return found


def _json_row(entry: object, number: int, file: Path) -> tuple[str, tuple[float, ...]]:
    where = f"entry {number} (counted from 0)"
    if not isinstance(entry, dict):
        raise DatasetError(f"{where}: an object with bbox was expected; got {entry!r:.60}. Mend it.", file=file)
    name = entry.get("file_name", entry.get("image_id"))
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise DatasetError(f"{where}: file_name or image_id must name the image; got {name!r:.60}. Add it.", file=file)
    box = entry.get("bbox")
    numbers = [*box, *([entry["score"]] if "score" in entry else [])] if isinstance(box, list) else []
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in numbers):
        raise DatasetError(
            f"{where}: bbox must be [x, y, width, height] and score a number; got {entry!r:.120}. Mend it.", file=file
        )
    return _posix(str(name)), tuple(map(float, numbers))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read_npz(file: Path) -> dict[str, NDArray[np.float32]]:
    found = {}
    try:
        # Opened here: numpy leaves a broken file open.
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            for name in arrays.files:
                found[_posix(name)] = _by_score(_table(arrays[name], name, file))
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        message = f"an .npz of plain number arrays was expected, but it cannot be read ({error}). Write it again."
        raise DatasetError(message, file=file) from error
    return found


def _table(values: NDArray[Any], name: str, file: Path) -> NDArray[np.float64]:
    if values.size == 0:
        return np.zeros((0, 4))
    if values.ndim != 2 or values.shape[1] not in {4, 5} or values.dtype.kind not in "iuf":
        message = (
            f"{name}: numbers [n, 4] (xyxy) or [n, 5] (score last) were expected; got {values.dtype} "
            f"{list(values.shape)}. Write the array in this form."
        )
        raise DatasetError(message, file=file)
    return values.astype(np.float64)


def _by_score(table: NDArray[np.float64]) -> NDArray[np.float32]:
    if table.shape[1] == 5:
        table = table[np.argsort(-table[:, 4], kind="stable")]
    return table[:, :4].astype(np.float32)


def _read_mat(file: Path) -> dict[str, NDArray[np.float32]]:
    try:
        content = loadmat(file, variable_names=["boxes", "images"])
    except (OSError, ValueError, TypeError, NotImplementedError, MatReadError, EOFError) as error:
        message = (
            f"a MATLAB file of version 5 to 7.2 was expected, but it cannot be read ({error}). In MATLAB, save it with "
            "the option -v7."
        )
        raise DatasetError(message, file=file) from error
    missing = [name for name in ("boxes", "images") if name not in content]
    if missing:
        message = f"the variables boxes and images were expected; {' and '.join(missing)} is missing. Add it."
        raise DatasetError(message, file=file)
    boxes, images = content["boxes"].ravel(), content["images"].ravel()
    if len(boxes) != len(images) or boxes.dtype != object:
        message = (
            f"boxes and images must be cell arrays of one length; got {len(boxes)} and {len(images)}. Save both as "
            "{1, n} cells."
        )
        raise DatasetError(message, file=file)
    found = {}
    for name, rows in zip(images, boxes, strict=True):
        key = _mat_name(name, file)
        table = _table(rows, key, file)[:, [1, 0, 3, 2]]  # y1, x1, y2, x2 -> xyxy
        table[:, :2] -= 1  # pixels are counted from 1; the last one is included, so its far edge is its number
        found[key] = table.astype(np.float32)
    return found


def _mat_name(value: Any, file: Path) -> str:
    text = value
    while isinstance(text, np.ndarray) and text.size == 1:
        text = text.ravel()[0]
    if not isinstance(text, str) or not text:
        raise DatasetError(f"images must hold names; got {value!r:.60}. Save a cell array of strings.", file=file)
    return _posix(text)


def _posix(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


_READERS: Mapping[str, Callable[[Path], dict[str, NDArray[np.float32]]]] = MappingProxyType(
    {".json": _read_json, ".npz": _read_npz, ".mat": _read_mat}
)
