"""Features of regions on disk: one file for each image, so that a pass that was killed loses one image at most."""

import hashlib
import json
import shutil
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from snellen.errors import TrainingError
from snellen.structures import TensorRecord

__all__ = ["FeatureCache", "ImageFeatures", "content_of", "weights_key"]

_KEY_LENGTH = 16  # hexadecimal digits: 64 bits, plenty to tell two trainings apart
_FOLDER = "features-"
_DTYPE_PATH = "region_head.fitting.feature_dtype"  # of the setting that decides the type
_LIST = "complete.json"  # written last: the pass is over, and these are its images


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageFeatures(TensorRecord):
    """What is kept of the regions of one image.

    Attributes:
        boxes: The proposals and, behind them, the objects' own boxes; pixels of the canvas.
        is_object: True for the objects' own boxes.
        deep: What the classifier looks at.
        near: Rows whose pooled features are kept.
        pooled: What the box regression looks at, of those rows.
        object_boxes: All objects, also those that are neither wanted nor punished.
        object_labels: 0…K−1.
        object_ignored: True for crowds and difficult objects.
    """

    boxes: Float[Tensor, "num_regions 4"]
    is_object: Bool[Tensor, " num_regions"]
    deep: Float[Tensor, "num_regions deep_channels"]
    near: Int64[Tensor, " num_near"]
    pooled: Float[Tensor, "num_near pooled_channels"]
    object_boxes: Float[Tensor, "num_objects 4"]
    object_labels: Int64[Tensor, " num_objects"]
    object_ignored: Bool[Tensor, " num_objects"]


class FeatureCache:
    """A folder of features that belong to one set of weights.

    Args:
        folder: Where caches of several weights may lie.
        key: Of the weights and the settings that the features depend on; see ``weights_key``.
        dtype: As which features are written; ``float16`` halves the disk.
    """

    def __init__(self, folder: Path, *, key: str, dtype: torch.dtype = torch.float16) -> None:
        self.parent = folder
        self.folder = folder / f"{_FOLDER}{key}"
        self.dtype = dtype

    def opened(self) -> "FeatureCache":
        """Make the folder and return this; what other weights left behind is removed: nobody can use it."""
        for other in self.parent.glob(f"{_FOLDER}*"):
            if other != self.folder and other.is_dir():
                shutil.rmtree(other)
        self.folder.mkdir(parents=True, exist_ok=True)
        for rest in self.folder.glob("*.part"):
            rest.unlink()
        return self

    def has(self, index: int, content: int) -> bool:
        """Whether the image is there, whole and made from the same ``content`` (see ``content_of``)."""
        file = self._file(index)
        if not file.exists():
            return False
        with np.load(file) as stored:
            return int(stored["content"]) == content

    def write(self, index: int, features: ImageFeatures, content: int) -> None:
        """Put one image on disk, whole or not at all.

        Raises:
            TrainingError: If a feature is not finite or too large for the type on disk.
        """
        arrays = {field.name: getattr(features, field.name) for field in fields(features)}
        for name in ("deep", "pooled"):
            arrays[name] = arrays[name].to(self.dtype)
            if not bool(arrays[name].isfinite().all()):
                raise TrainingError(
                    f"expected finite features within the range of {self.dtype}; got others in {name!r} of image "
                    f"{index}. If the fine-tuning did not diverge, keep them in float32: --set {_DTYPE_PATH}=float32."
                )
        numpy_arrays = {name: value.cpu().numpy() for name, value in arrays.items()}
        part = self._file(index).with_suffix(".part")
        with part.open("wb") as stream:
            np.savez(stream, allow_pickle=False, content=np.int64(content), **numpy_arrays)
        part.replace(self._file(index))

    def read(self, index: int, *, without: Iterable[str] = ()) -> ImageFeatures:
        """Return one image's features in float32; the fields in ``without`` come without rows, unread."""
        skipped = set(without)
        with np.load(self._file(index)) as stored:
            values = {
                field.name: _as_tensor(stored[field.name]) if field.name not in skipped else torch.zeros(0, 0)
                for field in fields(ImageFeatures)
            }
        return ImageFeatures(**values)

    def complete(self, indices: Iterable[int]) -> None:
        """Note that the pass is over and which images it had."""
        part = self.folder / f"{_LIST}.part"
        part.write_text(json.dumps(sorted(indices)))
        part.replace(self.folder / _LIST)

    def images(self) -> list[int] | None:
        """Return the rows of the data set that are there; None as long as the pass is not over."""
        file = self.folder / _LIST
        if not file.exists():
            return None
        return [int(index) for index in json.loads(file.read_text())]

    def num_bytes(self, indices: Iterable[int]) -> int:
        """Return what the files of these images take."""
        return sum(self._file(index).stat().st_size for index in indices)

    def _file(self, index: int) -> Path:
        return self.folder / f"{index:08d}.npz"


def weights_key(states: Iterable[Mapping[str, Tensor]], settings: str) -> str:
    """Return a name for weights and settings: other weights, another name.

    Args:
        states: State dictionaries of the modules that the features depend on.
        settings: Everything else that they depend on.
    """
    digest = hashlib.sha256(settings.encode())
    for state in states:
        for name, value in state.items():
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(_bytes(value))
    return digest.hexdigest()[:_KEY_LENGTH]


def content_of(tensors: Iterable[Tensor]) -> int:
    """Return a check sum of an image's pixels, regions and objects: the same row of other data is another image."""
    total = 0
    for tensor in tensors:
        total = zlib.crc32(_bytes(tensor), total)
    return total


def _bytes(value: Tensor) -> memoryview:
    flat = value.detach().cpu().contiguous().reshape(-1)
    array: np.ndarray = flat.view(torch.uint8).numpy()
    return array.data if flat.numel() else memoryview(b"")


def _as_tensor(array: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.float() if tensor.is_floating_point() else tensor
