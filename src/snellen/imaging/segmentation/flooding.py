"""Watersheds: the gradient as a landscape that fills from markers."""

import numpy as np
import torch
from jaxtyping import Float32, Int32, Integer, UInt8
from numpy.typing import NDArray
from scipy.ndimage import label

from snellen.imaging.edges import gradient_magnitude
from snellen.imaging.segmentation.channels import smoothed_lab

__all__ = ["basin_markers", "colour_gradient", "watershed_regions"]


def colour_gradient(image: UInt8[np.ndarray, "height width 3"], sigma_px: float) -> Float32[np.ndarray, "height width"]:
    """Return the length of the gradient in the channel of CIE L*a*b* where it is longest, in levels a pixel."""
    channels = torch.from_numpy(np.moveaxis(smoothed_lab(image, sigma_px), -1, 0)[:, None].copy())  # [3, 1, h, w]
    found: NDArray[np.float32] = gradient_magnitude(channels, "sobel").amax(dim=(0, 1)).numpy()
    return found


def basin_markers(landscape: Float32[np.ndarray, "height width"], *, depth: float) -> Int32[np.ndarray, "height width"]:
    """Return a number for each basin that is at least so deep, on its floor, and 0 elsewhere.

    Args:
        landscape: Heights.
        depth: From its floor to the lowest pass out of it. 0 takes every local minimum, of which noise has thousands.

    Source:
        Vincent 1993, "Morphological grayscale reconstruction in image analysis" (h-minima as reconstruction).
    """
    from skimage.morphology import reconstruction  # noqa: PLC0415 - takes long to import

    heights = landscape.astype(np.float64)
    step = max(depth, float(np.finfo(np.float32).eps) * float(np.abs(heights).max(initial=1.0)))
    filled: NDArray[np.float64] = reconstruction(  # type: ignore[no-untyped-call]  # scikit-image has no types
        heights + step, heights, method="erosion"
    )
    floor = 1e-3 * step  # what counts as level
    raised: NDArray[np.float64] = reconstruction(  # type: ignore[no-untyped-call]  # scikit-image has no types
        filled + floor, filled, method="erosion"
    )
    regions, _ = label(raised > filled + floor / 2, structure=np.ones((3, 3)))
    return np.asarray(regions, dtype=np.int32)


def watershed_regions(
    landscape: Float32[np.ndarray, "height width"],
    markers: Integer[np.ndarray, "height width"],
    *,
    compactness: float = 0.0,
) -> Int32[np.ndarray, "height width"]:
    """Return the marker from which each pixel is flooded.

    Args:
        landscape: Heights; water rises everywhere at once, and where two waters meet there is a border.
        markers: 0 where there is none; pixels of one number need not touch. Without any marker all is one region, 1.
        compactness: How much a pixel's distance from its marker counts beside its height; more makes regions rounder.

    Source:
        Beucher and Lantuéjoul 1979; markers: Meyer and Beucher 1990, "Morphological segmentation"; compact: Neubert
        and Protzel 2014. scikit-image's implementation.
    """
    from skimage.segmentation import watershed  # noqa: PLC0415 - the same

    if not (markers > 0).any():
        return np.ones(landscape.shape, dtype=np.int32)
    flooded = watershed(landscape, markers, compactness=compactness)  # type: ignore[no-untyped-call]  # scikit-image has no types
    return np.asarray(flooded, dtype=np.int32)
