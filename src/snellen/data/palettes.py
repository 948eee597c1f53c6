"""The nearest of a few values: labels of masks that compression has blurred."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["nearest_values", "value_gap"]

BYTE_VALUES = 256


def nearest_values(raw: NDArray[np.int32], values: NDArray[np.int32], *, coloured: bool) -> NDArray[np.intp]:
    """Return for each raw value the row of the nearest of ``values``; of two equally near ones the first.

    Args:
        raw: As ``read_mask`` gives them.
        values: At least one.
        coloured: Whether values are colours; their distance is that of red, green and blue.
    """
    if not coloured:
        table = np.abs(np.arange(BYTE_VALUES)[:, None] - values[None, :]).argmin(axis=1)
        return np.asarray(table[raw.clip(0, BYTE_VALUES - 1)])
    found, inverse = np.unique(raw, return_inverse=True)
    # |a - b|² = |a|² - 2 a·b + |b|²; the first part is the same for all values.
    colours, palette = _colours(found), _colours(values)
    distance = (palette**2).sum(axis=1)[None, :] - 2 * colours @ palette.T
    return np.asarray(distance.argmin(axis=1)[inverse.reshape(raw.shape)])


def value_gap(values: NDArray[np.int32], *, coloured: bool) -> float:
    """Return the distance of the two values that are nearest to one another; infinity for a single one."""
    points = _colours(values) if coloured else values[:, None].astype(np.float64)
    apart = np.sqrt(((points[:, None] - points[None, :]) ** 2).sum(axis=-1))
    np.fill_diagonal(apart, np.inf)
    return float(apart.min(initial=np.inf))


def _colours(values: NDArray[np.int32]) -> NDArray[np.float64]:
    return np.stack([values >> 16, (values >> 8) & 255, values & 255], axis=-1).astype(np.float64)
