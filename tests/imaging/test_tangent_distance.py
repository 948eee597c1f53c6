"""Tangent distance against a plain numerical one, and what it is for: small changes that change nothing (SYS-279)."""

import numpy as np
import pytest
from scipy import ndimage

from snellen.errors import ShapeError
from snellen.imaging.tangent_distance import (
    SPRING,
    TANGENTS,
    tangent_distances,
    tangent_planes,
    tangent_vectors,
)


def blobs(number: int, side: int = 16, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Smooth shapes in the middle, which shifts do not push out of the image."""
    noise = np.random.default_rng(seed).random((number, channels, side, side))
    window = np.hanning(side)[:, None] * np.hanning(side)
    return (ndimage.gaussian_filter(noise, (0, 0, 1.2, 1.2)) * window).astype(np.float32)


def moved(images: np.ndarray, matrix, shift=(0.0, 0.0)) -> np.ndarray:
    """Images whose content was mapped by ``matrix`` (rows, columns) about the centre and then shifted."""
    inverse = np.linalg.inv(np.asarray(matrix, float))
    centre = (np.array(images.shape[2:]) - 1) / 2
    offset = centre - inverse @ (centre + np.asarray(shift))
    return np.stack(
        [[ndimage.affine_transform(plane, inverse, offset, order=5) for plane in image] for image in images]
    ).astype(np.float32)


STEP = 0.02
CHANGES = {
    "shift right": ([[1, 0], [0, 1]], (0, STEP)),
    "shift down": ([[1, 0], [0, 1]], (STEP, 0)),
    "scaling": ([[1 + STEP, 0], [0, 1 + STEP]], (0, 0)),
    "stretching": ([[1 - STEP, 0], [0, 1 + STEP]], (0, 0)),
    "diagonal stretching": ([[1, STEP], [STEP, 1]], (0, 0)),
    # Rows point down, so a turn from columns to rows is clockwise on the screen.
    "rotation": ([[np.cos(STEP), -np.sin(STEP)], [np.sin(STEP), np.cos(STEP)]], (0, 0)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_tangents_are_the_differences_that_a_small_change_makes(name):
    images = blobs(3, side=24)
    matrix, shift = CHANGES[name]
    smooth = ndimage.gaussian_filter(images, (0, 0, 0.9, 0.9), mode="nearest")
    wanted = (moved(smooth, matrix, shift) - smooth) / STEP
    found = tangent_vectors(images)[:, TANGENTS.index(name)]
    found, wanted = found[..., 3:-3, 3:-3], wanted[..., 3:-3, 3:-3]  # beyond the edge a shift finds nothing
    correlation = np.corrcoef(found.ravel(), wanted.ravel())[0, 1]
    assert abs(correlation) > 0.995  # which way a turn goes does not matter: planes have both
    assert abs(np.linalg.norm(found) / np.linalg.norm(wanted) - 1) < 0.05


def plain_distance(one: np.ndarray, other: np.ndarray) -> float:
    """The same from raw tangents and numpy's least squares, one pair at a time."""
    both = np.stack([one, other])
    points = ndimage.gaussian_filter(both, (0, 0, 0.9, 0.9), mode="nearest").reshape(2, -1).astype(np.float64)
    tangents = tangent_vectors(both).reshape(2, len(TANGENTS), -1).astype(np.float64)
    columns = np.concatenate([tangents[0], -tangents[1]]).T
    gap = points[1] - points[0]
    way = np.linalg.lstsq(columns, gap, rcond=None)[0]
    return float(np.linalg.norm(gap - columns @ way))


@pytest.mark.parametrize("channels", [1, 3])
def test_equal_to_plain_least_squares(channels):
    images = blobs(6, channels=channels)
    planes = tangent_planes(images)
    found = tangent_distances(planes, planes)
    wanted = np.array([[plain_distance(one, other) for other in images] for one in images])
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(found[off], wanted[off], rtol=1e-2)
    np.testing.assert_allclose(found, found.T, rtol=1e-4, atol=1e-5)
    assert SPRING < 1e-3
    euclid = np.linalg.norm(planes.points[:, None] - planes.points, axis=2)
    assert (found <= euclid + 1e-6).all()


@pytest.mark.parametrize(
    ("matrix", "shift"),
    [([[1, 0], [0, 1]], (0, 0.7)), ([[1.05, 0], [0, 1.05]], (0, 0)), ([[0.995, -0.1], [0.1, 0.995]], (0.3, 0.3))],
)
def test_small_changes_cost_next_to_nothing(matrix, shift):
    """Q-148, DX-117: the Euclidean distance of a digit to its own copy, moved by a pixel, is large."""
    images = blobs(4, side=24)
    copies = moved(images, matrix, shift)
    planes, moved_planes = tangent_planes(images), tangent_planes(copies)
    near = tangent_distances(planes, moved_planes).diagonal()
    euclid = np.linalg.norm(planes.points - moved_planes.points, axis=1)
    assert (near < 0.15 * euclid).all()


def test_constant_images_have_no_tangents():
    planes = tangent_planes(np.full((2, 1, 8, 8), 0.5, np.float32))
    assert not planes.bases.any()
    np.testing.assert_allclose(tangent_distances(planes, planes), 0, atol=1e-6)
    other = tangent_planes(blobs(1, side=8))
    assert np.isfinite(tangent_distances(planes, other)).all()


def test_pairs_pick_columns():
    first, second = tangent_planes(blobs(3)), tangent_planes(blobs(5, seed=1))
    full = tangent_distances(first, second)
    pairs = np.array([[4, 0], [1, 2], [3, 3]])
    np.testing.assert_allclose(tangent_distances(first, second, pairs), np.take_along_axis(full, pairs, axis=1))


def test_other_sizes_are_refused():
    with pytest.raises(ShapeError, match="images must be of one size; got 256 and 64 numbers"):
        tangent_distances(tangent_planes(blobs(1)), tangent_planes(blobs(1, side=8)))
