"""Regions drawn on their image: borders between them, and what counts as foreground."""

import numpy as np
from jaxtyping import Bool, Int32, UInt8
from PIL import Image

from snellen.report.objects import edges

__all__ = ["draw_regions"]

BORDER = (255, 224, 0)  # seen on dark and on light, and seldom in photographs
SHADE = 0.45  # of the brightness that background keeps


def draw_regions(
    image: UInt8[np.ndarray, "height width 3"],
    regions: Int32[np.ndarray, "height width"],
    *,
    foreground: Bool[np.ndarray, "height width"] | None = None,
) -> Image.Image:
    """Return an image with the borders of its regions.

    Args:
        image: RGB.
        regions: Number of each pixel's region.
        foreground: What stays bright; None for all.
    """
    pixels = image.astype(np.float32)
    if foreground is not None:
        pixels[~foreground] *= SHADE
    pixels[edges(regions)] = BORDER
    return Image.fromarray(pixels.round().astype(np.uint8))
