"""Signed and boolean maps as images that can be looked at, and that a network can be fed."""

import torch
from jaxtyping import Float
from torch import Tensor

from snellen.errors import ConfigError
from snellen.imaging.edges import (
    EdgeOperator,
    canny,
    gradient_magnitude,
    laplacian,
    laplacian_of_gaussian,
    zero_crossings,
)
from snellen.imaging.frequency import PassShape, high_pass
from snellen.imaging.pixels import WHITE, Images, as_before, flat

__all__ = ["canny_picture", "gradient_picture", "high_pass_picture", "laplacian_picture", "marr_hildreth_picture"]

_MIDDLE = 128.0  # level of 0 in a signed map
_STEP_GAIN = 2.0  # a step between two pixels has a central difference of half its height


def gradient_picture(images: Images, *, operator: EdgeOperator = "sobel") -> Images:
    """Return twice the gradient's length: a step edge is as bright as it is high.

    Args:
        images: Any.
        operator: As of ``derivatives``.

    Raises:
        ConfigError: If there is no such operator.
    """
    return _picture(_STEP_GAIN * gradient_magnitude(flat(images), operator), images)


def laplacian_picture(images: Images, *, diagonals: bool = False) -> Images:
    """Return the Laplacian around a grey of 128: dark details are bright.

    Args:
        images: Any.
        diagonals: As of ``laplacian``.
    """
    return _picture(_MIDDLE + laplacian(flat(images), diagonals=diagonals), images)


def marr_hildreth_picture(images: Images, *, sigma_px: float = 2.0, contrast: float = 2.0) -> Images:
    """Return white where the Laplacian of the blurred image crosses zero.

    Args:
        images: Any.
        sigma_px: As of ``laplacian_of_gaussian``.
        contrast: As of ``zero_crossings``.

    Raises:
        ConfigError: If a number is out of range.
    """
    if contrast < 0:
        raise ConfigError(f"contrast must be 0 or more; got {contrast}.")
    response = laplacian_of_gaussian(flat(images), sigma_px=sigma_px)
    return _picture(WHITE * zero_crossings(response, contrast=contrast), images)


def canny_picture(images: Images, *, sigma_px: float = 1.0, low: float = 10.0, high: float = 20.0) -> Images:
    """Return Canny's edges in white.

    Args:
        images: Any.
        sigma_px: As of ``canny``.
        low: As of ``canny``.
        high: As of ``canny``.

    Raises:
        ConfigError: As ``canny``.
    """
    return _picture(WHITE * canny(flat(images), sigma_px=sigma_px, low=low, high=high), images)


def high_pass_picture(
    images: Images, *, cutoff: float = 0.1, shape: PassShape = "butterworth", order: int = 2
) -> Images:
    """Return the quick changes of each image around a grey of 128.

    Args:
        images: Any.
        cutoff: As of ``high_pass``.
        shape: As of ``high_pass``.
        order: As of ``high_pass``.

    Raises:
        ConfigError: As ``high_pass``.
    """
    return _picture(_MIDDLE + high_pass(flat(images), cutoff=cutoff, shape=shape, order=order), images)


def _picture(values: Float[Tensor, "n channels height width"], images: Images) -> Images:
    """Return a map with as many channels as the images."""
    return as_before(values.to(torch.get_default_dtype()).expand(-1, images.shape[-3], -1, -1), images)
