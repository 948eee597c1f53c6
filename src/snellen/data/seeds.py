"""Marks on an image, by which a user tells what is what: a label image, or a table of places."""

import csv
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from numpy.typing import NDArray

from snellen.data.images import is_image_name, read_mask
from snellen.errors import DatasetError

__all__ = ["read_seeds"]

MARK_RADIUS_PX = 3  # of the disk around a place of a table: a single pixel tells no colour
MOST_CLASSES = 32  # marks above are taken for brightness: a mask of 0 and 255 is a frequent mistake


def read_seeds(path: Path, size: tuple[int, int]) -> Int32[np.ndarray, "height width"]:
    """Return the mark of every pixel: 0 where nothing is known, 1 for background, 2 for foreground, and so on.

    Args:
        path: A label image of the image's size with these numbers (an index or palette PNG, or grey levels), or a CSV
            table with the columns x, y, mark (pixels from the upper left corner); each row marks a small disk.
        size: Height and width of the image.

    Raises:
        DatasetError: If the file cannot be read, is of another size, or holds other numbers, or none.
    """
    seeds = read_mask(path, coloured=False) if is_image_name(path.name) else _from_table(path, size)
    if seeds.shape != size:
        raise DatasetError(
            f"expected marks of the image's size, {size[1]} × {size[0]}; got {seeds.shape[1]} × {seeds.shape[0]}. "
            "Draw them on the image itself.",
            file=path,
        )
    if seeds.min() < 0 or seeds.max() > MOST_CLASSES or not seeds.any():
        raise DatasetError(
            f"expected marks 0 (not known), 1 (background), 2 (foreground), … up to {MOST_CLASSES}; got values from "
            f"{seeds.min()} to {seeds.max()}. Save an index image with these numbers as PNG.",
            file=path,
        )
    return seeds


def _from_table(path: Path, size: tuple[int, int]) -> NDArray[np.int32]:
    seeds = np.zeros(size, dtype=np.int32)
    rows, columns = np.indices(size)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"expected a table of marks; it cannot be read ({error}). Check the path.", file=path
        ) from error
    for number, cells in enumerate(csv.reader(lines), start=1):
        if not cells or (number == 1 and not cells[0].strip().replace(".", "", 1).isdigit()):
            continue  # an empty line, or the header
        try:
            x, y, mark = float(cells[0]), float(cells[1]), int(cells[2])
        except (ValueError, IndexError) as error:
            raise DatasetError(
                f"expected x,y,mark, such as 120,64,2; got {','.join(cells)!r}.", file=path, line=number
            ) from error
        if not (0 <= x < size[1] and 0 <= y < size[0]):
            raise DatasetError(
                f"expected a place within the image of {size[1]} × {size[0]} px; got {x:g},{y:g}.",
                file=path,
                line=number,
            )
        seeds[np.square(columns + 0.5 - x) + np.square(rows + 0.5 - y) <= MARK_RADIUS_PX**2] = mark
    return seeds
