"""Proposals from outside for each image: computed once and kept on disk.

`ProposalStore` computes them with a function that it is given; `snellen.data.proposal_files` reads them from files.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from joblib import Parallel, delayed
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from snellen.data.images import read_image
from snellen.errors import DatasetError, InputError

__all__ = ["MAX_SIDE_PX", "Progress", "ProposalFunction", "ProposalStore", "default_proposal_folder"]

# Selective search's thresholds are in pixels; the R-CNN paper (Girshick et al. 2014, section 2.2) resizes every image
# to a width of 500 before it.
MAX_SIDE_PX = 500

_WORTH_PROCESSES = 8  # images; fewer are done before processes have started

ProposalFunction = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # RGB [height, width, 3] -> boxes [n, 4]
Progress = Callable[[int, int], None]  # images done, images in all


class ProposalStore:
    """Boxes of an image: read from the cache, or computed and put there.

    What is in the cache is keyed by the bytes of the image file and by ``key``; several processes may use one folder.
    A damaged file in it is computed again.

    Args:
        propose: From RGB pixels ``[height, width, 3]`` to boxes xyxy in those pixels, best first. It must be a
            function of a module (or a ``functools.partial`` of one), so that worker processes can be given it.
        key: Names ``propose`` and all its settings; change it whenever its boxes change.
        max_side: Longest side, in pixels, at which boxes are computed; larger images are reduced first, and the boxes
            scaled back.
        folder: Of the cache; `default_proposal_folder` if None.

    Raises:
        InputError: If the key is empty or the side is not positive.
    """

    def __init__(
        self, propose: ProposalFunction, *, key: str, max_side: int = MAX_SIDE_PX, folder: Path | None = None
    ) -> None:
        if not key.strip():
            raise InputError("key must name the function and its settings, but is empty; boxes of two would mix.")
        if max_side < 1:
            raise InputError(f"max_side must be at least 1 pixel, but is {max_side}.")
        self.propose = propose
        self.key = key
        self.max_side = max_side
        self.folder = default_proposal_folder() if folder is None else Path(folder)

    def __call__(self, path: Path, image: UInt8[Tensor, "3 height width"]) -> Float[Tensor, "num_boxes 4"]:
        """Return the boxes of an image.

        Args:
            path: Its file.
            image: Its pixels as `read_image` gives them.

        Returns:
            xyxy in pixels of ``image``, best first.

        Raises:
            DatasetError: If the file cannot be read.
            InputError: If the function returns something else than boxes.
        """
        place = self.place(path)
        boxes = _stored(place)
        if boxes is None:
            boxes = self._computed(image)
            _store(place, boxes)
        return torch.from_numpy(boxes)

    def compute(self, image: UInt8[Tensor, "3 height width"]) -> Float[Tensor, "num_boxes 4"]:
        """Return the boxes of an image that lies in no file, such as a frame of a video; nothing is kept."""
        return torch.from_numpy(self._computed(image))

    def place(self, path: Path) -> Path:
        """Return the file of the cache that belongs to an image file.

        Raises:
            DatasetError: If the file cannot be read.
        """
        try:
            with Path(path).open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            message = f"the image file cannot be read ({error.strerror}). Check the path, its permissions and the disk."
            raise DatasetError(message, file=path) from error
        settings = hashlib.sha256(f"{self.key}\0{self.max_side}".encode()).hexdigest()[:16]
        return self.folder / settings / content[:2] / f"{content}.npy"

    def prepare(
        self, paths: Sequence[Path], *, workers: int = 0, on_progress: Progress | None = None
    ) -> dict[Path, str]:
        """Compute what is missing for many images.

        Args:
            paths: Image files.
            workers: Processes to do it in; 0 does it in this one, as happens for a few images anyway.
            on_progress: Called after each image.

        Returns:
            Images that were skipped since they cannot be read, and why.
        """
        if workers < 0:
            raise InputError(f"workers must be 0 or more processes, but is {workers}.")
        unique = list(dict.fromkeys(map(Path, paths)))
        missing = [path for path in unique if not self._has(path)]  # looked up here: starting processes takes seconds
        done = len(unique) - len(missing)
        if on_progress is not None and done:
            on_progress(done, len(unique))
        skipped: dict[Path, str] = {}
        alone = workers == 0 or len(missing) < _WORTH_PROCESSES
        results = map(self._prepare_one, missing) if alone else self._in_processes(missing, workers)
        for number, (path, reason) in enumerate(results, start=done + 1):
            if reason is not None:
                skipped[path] = reason
            if on_progress is not None:
                on_progress(number, len(unique))
        return {path: skipped[path] for path in unique if path in skipped}

    def _has(self, path: Path) -> bool:
        try:
            return _stored(self.place(path)) is not None
        except DatasetError:
            return False  # told with the reason when it is its turn

    def _in_processes(self, paths: list[Path], workers: int) -> Iterator[tuple[Path, str | None]]:
        # joblib's processes neither fork one that has threads nor run the user's script again, as spawned ones would.
        done: Iterator[tuple[Path, str | None]] = Parallel(workers, return_as="generator_unordered")(
            delayed(self._prepare_one)(path) for path in paths
        )
        yield from done

    def _prepare_one(self, path: Path) -> tuple[Path, str | None]:
        try:
            place = self.place(path)
            if _stored(place) is not None:
                return path, None
            image = read_image(path)
        except DatasetError as error:
            return path, str(error)
        _store(place, self._computed(image))
        return path, None

    def _computed(self, image: Tensor) -> NDArray[np.float32]:
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())  # [3, h, w] -> [h, w, 3]
        height, width = pixels.shape[:2]
        small = _reduced(pixels, self.max_side)
        boxes = np.asarray(self.propose(small), dtype=np.float32)
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
            raise InputError(
                f"{self.key}: boxes [n, 4] of finite numbers were expected, but the function returned "
                f"{list(boxes.shape)}; return xyxy in pixels of the image that it was given."
            )
        scale = np.array([width / small.shape[1], height / small.shape[0]] * 2, dtype=np.float32)
        limit = np.array([width, height] * 2, dtype=np.float32)
        return np.asarray(np.clip(boxes * scale, 0, limit), dtype=np.float32)


def default_proposal_folder() -> Path:
    """Return ``proposals`` in the folder that ``SNELLEN_CACHE`` names, or in ``~/.cache/snellen``."""
    return Path(os.environ.get("SNELLEN_CACHE") or Path.home() / ".cache" / "snellen") / "proposals"


def _reduced(pixels: NDArray[np.uint8], max_side: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if longest <= max_side:
        return pixels
    size = (max(1, round(width * max_side / longest)), max(1, round(height * max_side / longest)))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0))


def _stored(place: Path) -> NDArray[np.float32] | None:
    """Return what the cache holds, or None where it holds nothing or something broken."""
    try:
        with place.open("rb") as file:
            boxes: Any = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError):
        return None
    is_sound = isinstance(boxes, np.ndarray) and boxes.dtype == np.float32 and boxes.ndim == 2 and boxes.shape[1] == 4
    return boxes if is_sound and np.isfinite(boxes).all() else None


def _store(place: Path, boxes: NDArray[np.float32]) -> None:
    """Write under a name of its own and rename: another process sees all of it or nothing."""
    unfinished = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, suffix=".part", delete=False) as file:
            unfinished = Path(file.name)
            np.save(file, boxes, allow_pickle=False)
        unfinished.replace(place)
    except OSError as error:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)
        message = (
            f"proposals cannot be kept here ({error.strerror}). Free some space, or set SNELLEN_CACHE to a folder that "
            "can be written."
        )
        raise DatasetError(message, file=place) from error
