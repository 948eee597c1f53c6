"""Grey-value morphology with flat windows: minima, maxima and what is made of them.

A window is a square, a disk or a cross. What lies beyond the edge of an image counts for nothing. Masks are images of 0
and 255.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from snellen.errors import ConfigError, did_you_mean
from snellen.imaging.filtering import odd_size
from snellen.imaging.pixels import Images, as_before, flat

__all__ = [
    "WINDOW_SHAPES",
    "black_top_hat",
    "closing",
    "dilation",
    "erosion",
    "morphological_gradient",
    "opening",
    "white_top_hat",
    "window",
]

WINDOW_SHAPES = ("square", "disk", "cross")


def window(size: int, shape: str = "square") -> Bool[Tensor, "size size"]:
    """Return the pixels of a window that count.

    Args:
        size: Pixels across, odd.
        shape: ``square``, ``disk`` (within half the size less a half of the middle) or ``cross``.

    Raises:
        ConfigError: If the size is even or below 1, or the shape is unknown.
    """
    reach = odd_size(size, "size") // 2
    if shape not in WINDOW_SHAPES:
        raise ConfigError(
            f"shape must be one of {', '.join(WINDOW_SHAPES)}; got {shape!r}.{did_you_mean(shape, WINDOW_SHAPES)}"
        )
    line = torch.arange(size) - reach
    down, across = line[:, None], line[None, :]
    if shape == "disk":
        return down**2 + across**2 <= reach**2
    return (down == 0) | (across == 0) if shape == "cross" else torch.ones(size, size, dtype=torch.bool)


def erosion(images: Images, *, size: int = 3, shape: str = "square") -> Images:
    """Return the least value around each pixel: what is bright shrinks.

    Args:
        images: Any.
        size: As of ``window``.
        shape: As of ``window``.

    Raises:
        ConfigError: As ``window``.

    Source:
        Serra 1982, Image analysis and mathematical morphology; Gonzalez and Woods 2018, sections 9.2 and 9.8.
    """
    return as_before(_least(flat(images), window(size, shape)), images)


def dilation(images: Images, *, size: int = 3, shape: str = "square") -> Images:
    """Return the largest value around each pixel: what is bright grows.

    Args:
        images: Any.
        size: As of ``window``.
        shape: As of ``window``.

    Raises:
        ConfigError: As ``window``.

    Source:
        As of ``erosion``.
    """
    return as_before(_largest(flat(images), window(size, shape)), images)


def opening(images: Images, *, size: int = 3, shape: str = "square") -> Images:
    """Return the images eroded, then dilated: bright specks that are smaller than the window vanish.

    Args:
        images: Any.
        size: As of ``window``.
        shape: As of ``window``.

    Raises:
        ConfigError: As ``window``.

    Source:
        As of ``erosion``, section 9.3.
    """
    return as_before(_opened(flat(images), window(size, shape)), images)


def closing(images: Images, *, size: int = 3, shape: str = "square") -> Images:
    """Return the images dilated, then eroded: dark gaps that are smaller than the window are filled.

    Args:
        images: Any.
        size: As of ``window``.
        shape: As of ``window``.

    Raises:
        ConfigError: As ``window``.

    Source:
        As of ``erosion``, section 9.3.
    """
    return as_before(_closed(flat(images), window(size, shape)), images)


def morphological_gradient(images: Images, *, size: int = 3, shape: str = "square") -> Images:
    """Return the largest less the least value around each pixel: edges.

    Args:
        images: Any.
        size: As of ``window``.
        shape: As of ``window``.

    Raises:
        ConfigError: As ``window``.

    Source:
        As of ``erosion``, section 9.8.
    """
    values, around = flat(images), window(size, shape)
    return as_before(_largest(values, around) - _least(values, around), images)


def white_top_hat(images: Images, *, size: int = 15, shape: str = "disk") -> Images:
    """Return the images less their opening: bright things that are smaller than the window, on an even dark ground.

    Args:
        images: Any.
        size: As of ``window``.
        shape: As of ``window``.

    Raises:
        ConfigError: As ``window``.

    Source:
        Meyer 1979; Gonzalez and Woods 2018, section 9.8.
    """
    values = flat(images)
    return as_before(values - _opened(values, window(size, shape)), images)


def black_top_hat(images: Images, *, size: int = 15, shape: str = "disk") -> Images:
    """Return the closing of the images less themselves: dark things that are smaller than the window, shown bright.

    Args:
        images: Any.
        size: As of ``window``.
        shape: As of ``window``.

    Raises:
        ConfigError: As ``window``.

    Source:
        As of ``white_top_hat``.
    """
    values = flat(images)
    return as_before(_closed(values, window(size, shape)) - values, images)


def _opened(values: Float[Tensor, "n channels height width"], around: Bool[Tensor, "r c"]) -> Tensor:
    return _largest(_least(values, around), around)


def _closed(values: Float[Tensor, "n channels height width"], around: Bool[Tensor, "r c"]) -> Tensor:
    return _least(_largest(values, around), around)


def _least(values: Float[Tensor, "n channels height width"], around: Bool[Tensor, "r c"]) -> Tensor:
    return -_largest(-values, around)


def _largest(values: Float[Tensor, "n channels height width"], around: Bool[Tensor, "r c"]) -> Tensor:
    """Return the largest value in a window that is symmetric about its middle."""
    rows, columns = (side // 2 for side in around.shape)
    if bool(around.all()):
        down = functional.max_pool2d(values, (2 * rows + 1, 1), stride=1, padding=(rows, 0))
        return functional.max_pool2d(down, (1, 2 * columns + 1), stride=1, padding=(0, columns))
    # Each row of a convex window is a run of pixels.
    padded = functional.pad(values, (0, 0, rows, rows), value=-torch.inf)
    height = values.shape[2]
    largest = torch.full_like(values, -torch.inf)
    for row in range(2 * rows + 1):
        reach = int(around[row].sum()) // 2
        band = padded[:, :, row : row + height]
        largest = torch.maximum(largest, functional.max_pool2d(band, (1, 2 * reach + 1), stride=1, padding=(0, reach)))
    return largest
