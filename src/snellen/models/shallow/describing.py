"""Images to descriptions: brought to their size, looked up, and computed where they are not known."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from joblib import Parallel, delayed
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from snellen.models.shallow.feature_store import FeatureStore, description_key
from snellen.models.shallow.features import FeatureKind
from snellen.structures import ImageBatch

__all__ = ["contents", "described"]

_WORTH_PROCESSES = 256  # images; fewer are done before processes have started
_CHUNK = 8  # images that a process is given at once


def contents(images: ImageBatch, side: int | None) -> list[UInt8[Tensor, "3 height width"]]:
    """Return each image without its padding, on the processor, squeezed to ``side`` × ``side`` where that is given."""
    pixels = images.pixels.cpu()
    found = []
    for image, (height, width) in zip(pixels, images.sizes.tolist(), strict=True):
        content = image[:, :height, :width]
        if side is not None and (height, width) != (side, side):
            content = functional.interpolate(content[None], (side, side), mode="bilinear", antialias=True)[0]
        found.append(content)
    return found


def described(
    images: Sequence[UInt8[Tensor, "3 side side"]], kind: FeatureKind, settings: Any, store: FeatureStore | None
) -> list[NDArray[Any]]:
    """Return a description of each image.

    Args:
        images: Squares of one size.
        kind: Of the features.
        settings: Of the kind.
        store: Where descriptions that take long are looked up and kept; None for nowhere.
    """
    squares = torch.stack(list(images)).permute(0, 2, 3, 1).contiguous().numpy()
    if not kind.is_costly or store is None:
        return kind.describe(squares, settings) if not kind.is_costly else _computed(squares, kind, settings)
    name = f"{kind.name} {settings!r}"
    keys = [description_key(name, square) for square in squares]
    known = store.recall(keys)
    missing = [place for place, key in enumerate(keys) if key not in known]
    if missing:
        fresh = dict(zip([keys[place] for place in missing], _computed(squares[missing], kind, settings), strict=True))
        store.keep(fresh)
        known |= fresh
    return [known[key] for key in keys]


def _computed(squares: NDArray[np.uint8], kind: FeatureKind, settings: Any) -> list[NDArray[Any]]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if len(squares) < _WORTH_PROCESSES or cores == 1:
        return kind.describe(squares, settings)
    # joblib's processes neither fork one that has threads nor run the user's script again, as spawned ones would.
    parts: list[list[NDArray[Any]]] = Parallel(cores)(
        delayed(kind.describe)(squares[start : start + _CHUNK], settings) for start in range(0, len(squares), _CHUNK)
    )
    return [description for part in parts for description in part]
