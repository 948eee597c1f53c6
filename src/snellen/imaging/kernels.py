"""Gaussian kernels, and correlation with a kernel; beyond its edge an image goes on as it ends."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from snellen.errors import ConfigError

__all__ = ["TRUNCATED_AT", "correlated", "gaussian_kernel", "gaussian_kernel_1d", "gaussian_sigma", "gaussian_size"]

TRUNCATED_AT = 4.0  # standard deviations to either side; SciPy's default, beyond which 6e-5 of the weight lies


def gaussian_sigma(size: int) -> float:
    """Return the standard deviation, in pixels, that is usual for a kernel of so many pixels.

    It is what OpenCV takes where none is given, except that OpenCV has fixed kernels, and not Gaussians of this width,
    for small odd sizes: 0.25, 0.5, 0.25 for 3, where this formula gives 0.239, 0.522, 0.239. For an explicit standard
    deviation the kernels are equal.

    Source:
        OpenCV's documentation of getGaussianKernel: 0.3 ((size − 1) 0.5 − 1) + 0.8.
    """
    return 0.3 * ((size - 1) * 0.5 - 1) + 0.8


def gaussian_size(sigma_px: float) -> int:
    """Return the odd number of pixels that holds ``TRUNCATED_AT`` standard deviations to either side."""
    return 2 * int(TRUNCATED_AT * sigma_px + 0.5) + 1


def gaussian_kernel_1d(size: int, sigma_px: float | None = None) -> Float[Tensor, " size"]:
    """Return exp(−x² / 2σ²) at whole pixels around the middle, divided by its sum.

    Args:
        size: Pixels; odd, for the middle of an even kernel lies between two pixels and would move the image by a half.
        sigma_px: Standard deviation; ``gaussian_sigma(size)`` if None.

    Raises:
        ConfigError: If the size is even or below 1, or the standard deviation not above 0.

    Source:
        Gonzalez and Woods 2018, Digital Image Processing, section 3.5.
    """
    if size < 1 or size % 2 == 0:
        raise ConfigError(f"a kernel must have an odd number of pixels, so that it has a middle; got {size}.")
    sigma = gaussian_sigma(size) if sigma_px is None else sigma_px
    if not sigma > 0:
        raise ConfigError(f"the standard deviation of a Gaussian must be above 0 pixels; got {sigma}.")
    places = torch.arange(size, dtype=torch.float64) - size // 2
    weights = torch.exp(-places.square() / (2 * sigma**2))
    return weights / weights.sum()


def gaussian_kernel(size: int, sigma_px: float | None = None) -> Float[Tensor, "size size"]:
    """Return the two-dimensional Gaussian, whose sum is 1: the outer product of the one-dimensional with itself.

    Args:
        size: As of ``gaussian_kernel_1d``.
        sigma_px: As of ``gaussian_kernel_1d``.

    Raises:
        ConfigError: As ``gaussian_kernel_1d``.
    """
    line = gaussian_kernel_1d(size, sigma_px)
    return line[:, None] * line[None, :]


def correlated(
    values: Float[Tensor, "n channels height width"], kernel: Tensor, *, separable: bool = False
) -> Float[Tensor, "n channels height width"]:
    """Return the cross-correlation of every channel with a kernel: nothing is flipped, as in all of deep learning.

    It is a sum of shifted images, in one order whatever the batch, so that an image gives the same bits alone and among
    others; for a single channel that is faster than a grouped convolution, too.

    Args:
        values: Images.
        kernel: ``[rows, columns]``, its middle left and above where a number is even; of separable ones ``[2, size]``:
            what is applied down and across.
        separable: Whether the kernel is the two factors of one.
    """
    if separable:
        down, across = kernel
        return correlated(correlated(values, down[:, None]), across[None, :])
    rows, columns = kernel.shape
    up, left = (rows - 1) // 2, (columns - 1) // 2
    padded = functional.pad(values, (left, columns - 1 - left, up, rows - 1 - up), mode="replicate")
    height, width = values.shape[2:]
    total = torch.zeros_like(values)
    for row, weights in enumerate(kernel.tolist()):
        for column, weight in enumerate(weights):
            if weight:
                total.add_(padded[:, :, row : row + height, column : column + width], alpha=weight)
    return total
