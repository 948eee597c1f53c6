"""Distances between images that small shifts, turns and changes of stroke do not change.

Shapes: n images, C channels, H rows, W columns, d = C·H·W numbers of an image.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from scipy import ndimage

from snellen.errors import ShapeError

__all__ = ["TANGENTS", "TangentPlanes", "tangent_distances", "tangent_planes", "tangent_vectors"]

TANGENTS = ("shift right", "shift down", "scaling", "rotation", "stretching", "diagonal stretching", "thickness")
SMOOTHING_PX = 0.9  # standard deviation of the Gaussian under which images are differentiated
SPRING = 1e-4  # on the way along an orthonormal tangent; keeps the system solvable where two planes share a direction
_LEAST_SHARE = 1e-8  # of the strongest direction's energy; weaker ones are rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class TangentPlanes:
    """Images with the planes that touch the sets of their transformed copies.

    Attributes:
        points: The images, smoothed.
        bases: Orthonormal directions of each plane; zero rows where an image has fewer.
    """

    points: Float32[np.ndarray, "n d"]
    bases: Float32[np.ndarray, "n 7 d"]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.points)


def tangent_vectors(
    images: Float32[np.ndarray, "n C H W"], *, smoothing_px: float = SMOOTHING_PX
) -> Float32[np.ndarray, "n 7 C H W"]:
    """Return how each image changes with each of ``TANGENTS``, about its centre, per pixel, factor or radian.

    Args:
        images: Any range.
        smoothing_px: Standard deviation of the Gaussian under which images are differentiated.

    Source:
        Simard, LeCun, Denker and Victorri 1998, Transformation invariance in pattern recognition, section 2,
        https://doi.org/10.1007/3-540-49430-8_13.
    """
    right = -_derivative(images, smoothing_px, axis=3)  # an image that moves right takes the values on the left
    down = -_derivative(images, smoothing_px, axis=2)
    height, width = images.shape[2:]
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None]
    x = np.arange(width, dtype=np.float32) - (width - 1) / 2
    kinds = (
        right,
        down,
        x * right + y * down,
        y * right - x * down,
        x * right - y * down,
        y * right + x * down,
        right**2 + down**2,
    )
    return np.stack(kinds, axis=1).astype(np.float32)


def tangent_planes(images: Float32[np.ndarray, "n C H W"], *, smoothing_px: float = SMOOTHING_PX) -> TangentPlanes:
    """Return the smoothed images and orthonormal bases of their tangent planes.

    Args:
        images: Any range; all channels of an image move together.
        smoothing_px: See ``tangent_vectors``.
    """
    vectors = tangent_vectors(images, smoothing_px=smoothing_px).reshape(len(images), len(TANGENTS), -1)
    gram = np.einsum("nad,nbd->nab", vectors, vectors, dtype=np.float64)
    # Of one scale each, so that which directions are rounding does not depend on units.
    scale = np.sqrt(np.maximum(np.einsum("naa->na", gram), np.finfo(np.float64).tiny))
    values, axes = np.linalg.eigh(gram / (scale[:, :, None] * scale[:, None, :]))
    keeps = values > np.maximum(values[:, -1:] * _LEAST_SHARE, np.finfo(np.float64).tiny)
    weights = np.where(keeps, 1 / np.sqrt(np.where(keeps, values, 1)), 0)[:, None, :] * axes / scale[:, :, None]
    has_any = (gram.trace(axis1=1, axis2=2) > 0)[:, None, None]
    bases = np.einsum("nab,nad->nbd", np.where(has_any, weights, 0).astype(np.float32), vectors)
    return TangentPlanes(points=_smoothed(images, smoothing_px).reshape(len(images), -1), bases=bases)


def tangent_distances(
    first: TangentPlanes, second: TangentPlanes, pairs: Int64[np.ndarray, "n m"] | None = None
) -> Float32[np.ndarray, "n m"]:
    """Return the two-sided tangent distances: how near two tangent planes come to each other.

    Args:
        first: n images.
        second: Images to compare with.
        pairs: For each image of ``first`` the m images of ``second`` to compare with; None for all.

    Raises:
        ShapeError: If the images are of different sizes.

    Source:
        Simard et al. 1998, section 2. Differs: the spring acts on the way along orthonormal directions and is only
        there to keep the system solvable.
    """
    if first.points.shape[1] != second.points.shape[1]:
        raise ShapeError(
            f"images must be of one size; got {first.points.shape[1]} and {second.points.shape[1]} numbers. Resize one."
        )
    wanted = np.broadcast_to(np.arange(len(second)), (len(first), len(second))) if pairs is None else pairs
    rows = [_from_one(first.points[i], first.bases[i], second, wanted[i]) for i in range(len(first))]
    return np.stack(rows) if rows else np.zeros(wanted.shape, np.float32)


def _from_one(
    point: Float32[np.ndarray, " d"], basis: Float32[np.ndarray, "7 d"], second: TangentPlanes, rows: np.ndarray
) -> Float32[np.ndarray, " m"]:
    others = second.bases[rows]  # [m, 7, d]
    gap = second.points[rows] - point
    number = len(basis)
    system = np.empty((len(rows), 2 * number, 2 * number))
    system[:, :number, :number] = basis @ basis.T
    system[:, :number, number:] = (others @ basis.T).transpose(0, 2, 1)
    system[:, number:, :number] = system[:, :number, number:].transpose(0, 2, 1)
    system[:, number:, number:] = others @ others.transpose(0, 2, 1)
    system += SPRING * np.eye(2 * number)
    pull = np.concatenate([gap @ basis.T, (others @ gap[:, :, None])[:, :, 0]], axis=1).astype(np.float64)
    gained = (pull * np.linalg.solve(system, pull[:, :, None])[:, :, 0]).sum(axis=1)
    square = np.square(gap, dtype=np.float64).sum(axis=1) - gained
    found: np.ndarray = np.sqrt(np.maximum(square, 0)).astype(np.float32)
    return found


def _smoothed(images: np.ndarray, sigma: float) -> np.ndarray:
    blurred: np.ndarray = ndimage.gaussian_filter(images.astype(np.float32), (0, 0, sigma, sigma), mode="nearest")
    return blurred


def _derivative(images: np.ndarray, sigma: float, *, axis: int) -> np.ndarray:
    order = [0, 0, 0, 0]
    order[axis] = 1
    slope: np.ndarray = ndimage.gaussian_filter(
        images.astype(np.float32), (0, 0, sigma, sigma), order=order, mode="nearest"
    )
    return slope
