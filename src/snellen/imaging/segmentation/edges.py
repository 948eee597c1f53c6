"""Regions closed from edges.

Shapes: H rows, W columns.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32, UInt8
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label
from torch import Tensor

from snellen.imaging.edges import (
    EdgeOperator,
    canny,
    gradient_magnitude,
    laplacian,
    laplacian_of_gaussian,
    zero_crossings,
)
from snellen.imaging.segmentation.channels import smoothed

__all__ = [
    "LaplaceOperator",
    "canny_edges",
    "closed_regions",
    "gradient_edges",
    "gradient_strength",
    "laplace_edges",
]

LaplaceOperator = Literal["laplacian", "log"]
GrayImage = UInt8[np.ndarray, "H W"]

STRONGEST = 0.995  # quantile that counts as the strongest, so that one glint does not decide


def gradient_strength(channel: GrayImage, operator: EdgeOperator, *, sigma_px: float) -> Float32[np.ndarray, "H W"]:
    """Return the length of the gradient, in levels a pixel; see ``snellen.imaging.gradient_magnitude``.

    Args:
        channel: 0..255.
        operator: Whose weights.
        sigma_px: Of the Gaussian before it.
    """
    found: NDArray[np.float32] = gradient_magnitude(_tensor(channel, sigma_px), operator)[0].numpy()
    return found


def gradient_edges(strength: Float32[np.ndarray, "H W"], *, least_share: float) -> Bool[np.ndarray, "H W"]:
    """Return pixels on a ridge of the gradient: no weaker than both neighbours on one axis, and strong enough.

    Args:
        strength: Length of the gradient.
        least_share: Of the strongest, below which there is no edge.
    """
    padded = np.pad(strength, 1, mode="edge")
    across = (strength >= padded[1:-1, :-2]) & (strength >= padded[1:-1, 2:])
    down = (strength >= padded[:-2, 1:-1]) & (strength >= padded[2:, 1:-1])
    return np.asarray((across | down) & (strength > least_share * np.quantile(strength, STRONGEST)))


def laplace_edges(
    channel: GrayImage, operator: LaplaceOperator, *, sigma_px: float, least_share: float
) -> Bool[np.ndarray, "H W"]:
    """Return where the second derivative passes through zero steeply; see ``snellen.imaging.zero_crossings``.

    Args:
        channel: 0..255.
        operator: ``laplacian`` is the mask of four neighbours after a Gaussian, ``log`` the Laplacian of the Gaussian
            itself.
        sigma_px: Of the Gaussian.
        least_share: Of the steepest change, below which a change of sign is noise.
    """
    if operator == "log":
        response = laplacian_of_gaussian(_tensor(channel, 0.0), sigma_px=sigma_px)[0]
    else:
        response = laplacian(_tensor(channel, sigma_px))[0]
    steps = torch.cat([response.diff(dim=axis).abs().flatten() for axis in (0, 1)])
    steepest = float(np.quantile(steps.numpy(), STRONGEST)) if len(steps) else 0.0
    found: NDArray[np.bool_] = zero_crossings(response, contrast=least_share * steepest).numpy()
    return found


def canny_edges(channel: GrayImage, *, sigma_px: float, low_share: float, high_share: float) -> Bool[np.ndarray, "H W"]:
    """Return Canny's edges, the thresholds being quantiles of the gradient; see ``snellen.imaging.canny``.

    Args:
        channel: 0..255.
        sigma_px: Of the Gaussian before.
        low_share: Share of the pixels whose gradient is too weak to go on an edge.
        high_share: Share of those whose gradient is too weak to begin one.
    """
    strength = gradient_strength(channel, "sobel", sigma_px=sigma_px)
    low, high = np.quantile(strength, (min(low_share, high_share), high_share)).tolist()
    found: NDArray[np.bool_] = canny(_tensor(channel, 0.0), sigma_px=sigma_px, low=low, high=high)[0].numpy()
    return found


def closed_regions(
    edges: Bool[np.ndarray, "H W"], strength: Float32[np.ndarray, "H W"], *, gap_px: float, least_px: int
) -> Int32[np.ndarray, "H W"]:
    """Return the regions that edges enclose; gaps are closed, and the pixels of edges go to what lies beside them.

    A disk as wide as the longest gap is rolled through what is no edge: where it does not pass, there is a border.
    What is enclosed without a gap, and too narrow for the disk, is a region too. From these the rest is flooded, away
    from edges first, so that two floods meet in the gap; on edges themselves, the weakest places first.

    Args:
        edges: Where there are edges; lines of 8-connected pixels part.
        strength: How strong they are at each pixel.
        gap_px: Longest gap that is closed.
        least_px: Pixels of the smallest region; smaller ones are flooded by their neighbours.

    Returns:
        Numbers from 1; all 0 if there is nothing but edges.
    """
    from skimage.segmentation import watershed  # noqa: PLC0415 - takes long to import

    if not edges.any():
        return np.ones(edges.shape, dtype=np.int32)
    distance = distance_transform_edt(~edges)
    seeds, number = label(distance > gap_px / 2)
    enclosed, _ = label(~edges)
    has_seed = np.zeros(int(enclosed.max()) + 1, dtype=bool)
    has_seed[enclosed[seeds > 0]] = True
    narrow = (enclosed > 0) & ~has_seed[enclosed]
    seeds = np.where(narrow, enclosed + number, seeds)
    if not seeds.any():
        return np.zeros(edges.shape, dtype=np.int32)
    landscape = np.where(edges, strength / max(float(strength.max()), np.finfo(np.float32).tiny), -distance)
    flooded = watershed(landscape, seeds)  # type: ignore[no-untyped-call]  # scikit-image has no types
    sizes = np.bincount(flooded.ravel())
    large = np.where(sizes[seeds] >= least_px, seeds, 0)
    if not large.any():
        return np.ones(edges.shape, dtype=np.int32)
    flooded = watershed(landscape, large)  # type: ignore[no-untyped-call]  # scikit-image has no types
    return np.asarray(flooded, dtype=np.int32)


def _tensor(channel: GrayImage, sigma_px: float) -> Tensor:
    return torch.from_numpy(smoothed(channel, sigma_px))[None]
