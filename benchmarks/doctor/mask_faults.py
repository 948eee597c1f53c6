"""Faults of label images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from planting import Chance, Change, some


def masks(folder: Path, split: str) -> list[Path]:
    return sorted((folder / split / "masks").iterdir())


def mask_changed(change: Callable[[np.ndarray], np.ndarray], shares: tuple[float, ...]) -> Change:
    def changed(folder: Path, severity: int, chance: Chance) -> None:
        for path in some(masks(folder, "train"), shares[severity], chance):
            with Image.open(path) as image:
                values = np.asarray(image)
            Image.fromarray(change(values)).save(path)

    return changed


def smoothed(values: np.ndarray) -> np.ndarray:
    image = Image.fromarray(values)
    small = image.resize((image.width // 2, image.height // 2), Image.Resampling.BILINEAR)
    return np.asarray(small.resize(image.size, Image.Resampling.BILINEAR))


def beyond(values: np.ndarray) -> np.ndarray:
    return np.where(values == 255, 255, values + 20).astype(np.uint8)


def other_shape(values: np.ndarray) -> np.ndarray:
    return values[:, : values.shape[1] * 2 // 3].copy()


def masks_swapped(folder: Path, severity: int, chance: Chance) -> None:
    chosen = some(masks(folder, "train"), (0.3, 0.6, 1.0)[severity], chance)
    contents = [path.read_bytes() for path in chosen]
    order = chance.permutation(len(chosen))
    for number, path in enumerate(chosen):
        path.write_bytes(contents[order[number]])


def masks_lost(folder: Path, severity: int, chance: Chance) -> None:
    for path in some(masks(folder, "train"), (0.05, 0.3, 0.8)[severity], chance):
        path.unlink()
