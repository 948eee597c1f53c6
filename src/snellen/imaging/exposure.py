"""Light that differs from place to place: regions that are too dark or too bright, and thresholds that follow it."""

import torch
from jaxtyping import Float
from torch import Tensor

from snellen.errors import ConfigError
from snellen.imaging.denoising import guided_blur
from snellen.imaging.filtering import mean_blur, odd_size
from snellen.imaging.pixels import WHITE, Images, as_before, flat, luma

__all__ = ["local_threshold", "repair_exposure"]

_REGION = 1 / 16  # of the shorter side: pixels to either side whose mean is the light at a place
_EDGE_LEVELS = 25.0  # standard deviation from which a window holds a border between light and shadow


def repair_exposure(images: Images, *, dark: float = 96.0, bright: float = 176.0) -> Images:
    """Return the images with dark regions lifted and bright ones lowered, each as far as it is beyond its threshold.

    What decides is the light around a pixel, not the pixel: black letters on a lit page stay black. Every channel is
    raised to the same power, from 1/2 where all around is black, over 1 between the thresholds, to 2 where all is
    white. What was clipped to 0 or 255 has lost its detail for good and only changes its level.

    Args:
        images: Any.
        dark: Level of the light around below which a place is under-exposed.
        bright: Level above which it is over-exposed.

    Raises:
        ConfigError: If the thresholds are not rising within 0..255.

    Source:
        Moroney 2000, Local color correction using non-linear masking, equation 1, which has one threshold of 128 for
        both; the light is a guided filter's (He et al. 2010) instead of a blur, which leaves halos at edges.
    """
    if not 0 < dark <= bright < WHITE:
        raise ConfigError(f"repair_exposure needs 0 < dark <= bright < 255; got {dark} and {bright}.")
    values = flat(images)
    light = _light_around(luma(values))
    beyond = (light - dark).clamp(max=0) / dark + (light - bright).clamp(min=0) / (WHITE - bright)
    return as_before(WHITE * (values.clamp(0, WHITE) / WHITE).pow(torch.exp2(beyond)), images)


def local_threshold(images: Images, *, size: int = 31, offset: float = 10.0) -> Images:
    """Return white where the luma is above the mean of the square around, less the offset, and black elsewhere.

    One threshold for the whole image fails where the light is uneven; this one follows it.

    Args:
        images: Any.
        size: Pixels across the square, odd.
        offset: Levels below the mean that are still white, so that plain ground is not noise.

    Raises:
        ConfigError: If the size is even or below 1.

    Source:
        OpenCV's adaptive threshold (mean); Gonzalez and Woods 2018, section 10.3, variable thresholding.
    """
    odd_size(size, "size")
    grey = luma(flat(images))
    white = (grey > mean_blur(grey, size=size) - offset).to(grey) * WHITE
    return as_before(white.expand(-1, images.shape[-3], -1, -1), images)


def _light_around(grey: Float[Tensor, "n 1 height width"]) -> Float[Tensor, "n 1 height width"]:
    radius = max(1, round(min(grey.shape[-2:]) * _REGION))
    return guided_blur(grey, radius_px=radius, sigma_levels=_EDGE_LEVELS)
