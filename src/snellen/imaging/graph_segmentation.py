"""Initial regions: the graph-based segmentation of Felzenszwalb and Huttenlocher."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from jaxtyping import Int64, UInt8
from skimage.segmentation import felzenszwalb

__all__ = ["graph_regions"]

COLOUR_CHANNELS = 3  # the authors' code takes RGB; selective search gives it a grey image three times


def graph_regions(
    channels: UInt8[np.ndarray, "channels height width"], thresholds: Sequence[int], *, sigma_px: float
) -> list[Int64[np.ndarray, "height width"]]:
    """Cut an image into regions within which neighbouring pixels differ less than across their borders.

    Args:
        channels: One or three; a single one counts three times.
        thresholds: k, on the scale 0..255; also the fewest pixels of a region.
        sigma_px: Of the Gaussian that smooths the image first.

    Returns:
        For each threshold the number of each pixel's region, 0..R-1.

    Source:
        Felzenszwalb and Huttenlocher 2004, "Efficient graph-based image segmentation", IJCV 59, algorithm 1, on the
        grid of 8 neighbours; scikit-image's implementation.
    """
    pixels = np.ascontiguousarray(channels.transpose(1, 2, 0))  # [c, h, w] -> [h, w, c]
    # Three equal channels make every difference sqrt(3) times as large, as if k were smaller by as much.
    stretch = sqrt(COLOUR_CHANNELS / len(channels))
    return [
        np.asarray(felzenszwalb(pixels, scale=threshold / stretch, sigma=sigma_px, min_size=threshold), dtype=np.int64)
        for threshold in thresholds
    ]
