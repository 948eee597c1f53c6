"""Filters over a neighbourhood: mean, Gaussian and median, and what sharpens.

Beyond its edge an image goes on as it ends. Sharpening makes edges steeper; it mends no light, for the mean brightness
stays what it was.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.imaging.edges import laplacian
from snellen.imaging.kernels import correlated, gaussian_kernel_1d, gaussian_size
from snellen.imaging.pixels import Images, as_before, flat, shifted

__all__ = ["gaussian_blur", "laplacian_sharpen", "mean_blur", "median_blur", "unsharp_mask"]

_MOST_ELEMENTS = 1 << 26  # of the neighbourhoods that a median looks at together: 256 MB


def odd_size(size: int, name: str) -> int:
    """Return a number of pixels across a window that has a middle.

    Raises:
        ConfigError: If it is even or below 1.
    """
    if size < 1 or size % 2 == 0:
        raise ConfigError(f"{name} must be an odd number of pixels, so that the window has a middle; got {size}.")
    return size


def mean_blur(images: Images, *, size: int = 3) -> Images:
    """Return the mean of the square around each pixel.

    Args:
        images: Any.
        size: Pixels across, odd.

    Raises:
        ConfigError: If the size is even or below 1.
    """
    line = torch.full((odd_size(size, "size"),), 1 / size, dtype=torch.float64)
    return as_before(correlated(flat(images), torch.stack([line, line]), separable=True), images)


def gaussian_blur(images: Images, *, sigma_px: float = 1.0, size: int | None = None) -> Images:
    """Return the mean around each pixel, weighted by a Gaussian.

    Args:
        images: Any.
        sigma_px: Standard deviation.
        size: Pixels across the kernel, odd; as many as hold four standard deviations to either side if None.

    Raises:
        ConfigError: If the size is even, or the standard deviation not above 0.

    Source:
        Gonzalez and Woods 2018, section 3.5.
    """
    if size is None and not sigma_px > 0:
        raise ConfigError(f"sigma_px must be above 0; got {sigma_px}.")
    line = gaussian_kernel_1d(gaussian_size(sigma_px) if size is None else size, sigma_px)
    return as_before(correlated(flat(images), torch.stack([line, line]), separable=True), images)


def median_blur(images: Images, *, size: int = 3) -> Images:
    """Return the median around each pixel, each channel by itself: single wrong pixels vanish, edges stay.

    Args:
        images: Any.
        size: Pixels across, odd.

    Raises:
        ConfigError: If the size is even or below 1.

    Source:
        Tukey 1977, Exploratory data analysis, section 7; Gonzalez and Woods 2018, section 5.3.
    """
    reach = odd_size(size, "size") // 2
    values = flat(images)
    padded = functional.pad(values, (reach, reach, reach, reach), mode="replicate")
    height = values.shape[2]
    rows = max(1, _MOST_ELEMENTS // (values[:, :, 0].numel() * size**2))
    bands = [_medians(padded[:, :, top : min(top + rows, height) + 2 * reach], size) for top in range(0, height, rows)]
    return as_before(torch.cat(bands, dim=2), images)


def _medians(padded: Float[Tensor, "n channels height width"], size: int) -> Float[Tensor, "n channels rows columns"]:
    around = padded.unfold(2, size, 1).unfold(3, size, 1).flatten(4)  # [n, channels, rows, columns, size²]
    return around.median(dim=4).values


def laplacian_sharpen(images: Images, *, amount: float = 1.0, diagonals: bool = False) -> Images:
    """Return the images less their Laplacian, which makes edges steeper; the same is taken off all channels of a pixel.

    Args:
        images: Any.
        amount: Times the Laplacian.
        diagonals: As of ``laplacian``.

    Raises:
        ConfigError: If the amount is below 0.

    Source:
        Gonzalez and Woods 2018, equation 3-63.
    """
    _check_amount(amount)
    values = flat(images)
    return as_before(shifted(values, -amount * laplacian(values, diagonals=diagonals)), images)


def unsharp_mask(images: Images, *, amount: float = 1.0, sigma_px: float = 1.0) -> Images:
    """Return the images with what a blur takes away added once more, or ``amount`` times.

    Args:
        images: Any.
        amount: Times the detail.
        sigma_px: Standard deviation of the blur: detail is what is smaller.

    Raises:
        ConfigError: If the amount is below 0, or the standard deviation not above 0.

    Source:
        Gonzalez and Woods 2018, equations 3-64 and 3-65.
    """
    _check_amount(amount)
    values = flat(images)
    return as_before(values + amount * (values - gaussian_blur(values, sigma_px=sigma_px)), images)


def _check_amount(amount: float) -> None:
    if not 0 <= amount < float("inf"):
        raise ConfigError(f"amount must be 0 or more and finite; got {amount}.")
