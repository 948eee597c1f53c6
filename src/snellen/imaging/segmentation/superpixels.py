"""Superpixels: small regions of one colour, a few hundred in an image."""

import numpy as np
from jaxtyping import Int32, UInt8

from snellen.imaging.graph_segmentation import graph_regions
from snellen.imaging.segmentation.partition import partition_of

__all__ = ["felzenszwalb_regions", "slic_regions"]


def slic_regions(
    image: UInt8[np.ndarray, "height width 3"], number: int, *, compactness: float = 10.0, sigma_px: float = 0.0
) -> Int32[np.ndarray, "height width"]:
    """Return superpixels of about equal size: k-means on colour and place, each centre with its surroundings alone.

    Args:
        image: RGB.
        number: About how many.
        compactness: What a grid step counts beside colour, in units of CIE L*a*b* (L* is 0..100).
        sigma_px: Of the Gaussian before.

    Source:
        Achanta et al. 2012, "SLIC superpixels compared to state-of-the-art superpixel methods"; scikit-image's
        implementation.
    """
    from skimage.segmentation import slic  # noqa: PLC0415 - takes long to import

    labels = slic(  # its conversion scales channels as the paper's compactness wants them
        image,
        n_segments=number,
        compactness=compactness,
        sigma=sigma_px,
        convert2lab=True,
        start_label=0,
        channel_axis=-1,
    )
    return partition_of(labels).labels


def felzenszwalb_regions(
    image: UInt8[np.ndarray, "height width 3"], scale: int, *, sigma_px: float = 0.8
) -> Int32[np.ndarray, "height width"]:
    """Return regions that differ more across their borders than within; see ``graph_regions``.

    Args:
        image: RGB.
        scale: k of the paper, on 0..255; more makes regions larger. Also the fewest pixels of a region.
        sigma_px: Of the Gaussian before.
    """
    channels = np.ascontiguousarray(image.transpose(2, 0, 1))  # [h, w, c] -> [c, h, w]
    return partition_of(graph_regions(channels, (scale,), sigma_px=sigma_px)[0]).labels
