"""Curves of brightness: one function of the level, applied to every channel alike."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from snellen.errors import ConfigError
from snellen.imaging.pixels import WHITE, Images, as_before, by_curve, checked, flat, quantiles

__all__ = ["adjust_gamma", "adjust_levels", "log_transform", "stretch_contrast"]

_LEAST_RANGE = 1.0  # levels; an image with less is plain, and stays as it is


def adjust_gamma(images: Images, *, gamma: float = 0.5) -> Images:
    """Return ``255 (r / 255)^gamma``: below 1 it lifts what is dark, above 1 it lowers; black and white stay.

    Args:
        images: Any.
        gamma: Exponent, above 0.

    Raises:
        ConfigError: If gamma is not above 0.

    Source:
        Gonzalez and Woods 2018, equation 3-5.
    """
    if not 0 < gamma < math.inf:
        raise ConfigError(f"gamma must be above 0 and finite; got {gamma}.")
    return by_curve(images, lambda levels: WHITE * (levels / WHITE).pow(gamma))


def log_transform(images: Images) -> Images:
    """Return ``c log(1 + r)`` with ``c = 255 / log 256``: darks are lifted far, brights little; black and white stay.

    30 becomes 158, 128 becomes 223, 250 becomes 254. That holds for r in 0..255: with r in 0..1 the same formula is
    nearly a straight line.

    Args:
        images: Any.

    Source:
        Gonzalez and Woods 2018, equation 3-4.
    """
    scale = WHITE / math.log1p(WHITE)
    return by_curve(images, lambda levels: scale * torch.log1p(levels))


def adjust_levels(images: Images, *, low: float = 0.0, high: float = WHITE) -> Images:
    """Return the images with the range from ``low`` to ``high`` stretched to 0..255; the same for every image.

    Args:
        images: Any.
        low: Level that becomes black; below it all is black.
        high: Level that becomes white.

    Raises:
        ConfigError: If the range is empty or not within 0..255.
    """
    if not 0 <= low < high <= WHITE:
        raise ConfigError(f"levels need 0 <= low < high <= 255; got {low} and {high}.")
    return by_curve(images, lambda levels: (levels - low) * (WHITE / (high - low)))


def stretch_contrast(images: Images, *, low: float = 0.01, high: float = 0.99) -> Images:
    """Return each image with its own range stretched to 0..255.

    The range is one for all channels, so that colours keep their hue; stretching each channel by itself would balance
    them as well, right or wrong.

    Args:
        images: Any.
        low: Share of the values of an image that may become black.
        high: Share of its values below the level that becomes white.

    Raises:
        ConfigError: If the shares are not rising within 0..1.

    Source:
        Gonzalez and Woods 2018, section 3.2, contrast stretching; shares instead of extremes, which one pixel decides.
    """
    if not 0 <= low < high <= 1:
        raise ConfigError(f"shares of a contrast stretch need 0 <= low < high <= 1; got {low} and {high}.")
    values = flat(images)
    darkest, brightest = (_levels(values, share) for share in (low, high))
    reach = brightest - darkest
    is_plain = reach < _LEAST_RANGE
    stretched = (values - darkest) * (WHITE / torch.where(is_plain, torch.ones_like(reach), reach))
    return as_before(torch.where(is_plain, values, stretched), checked(images))


def _levels(values: Float[Tensor, "n channels height width"], share: float) -> Float[Tensor, "n 1 1 1"]:
    return quantiles(values.flatten(1), share).view(-1, 1, 1, 1)
