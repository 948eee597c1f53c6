"""Watersheds (SYS-063): markers beside scikit-image's h-minima, floods beside what is known."""

import numpy as np
import pytest
from skimage.morphology import h_minima
from skimage.segmentation import watershed

from snellen.imaging.segmentation import basin_markers, colour_gradient, watershed_regions


def landscape(seed):
    """Whole heights: floating ones have no exact depth."""
    from scipy.ndimage import gaussian_filter

    return np.rint(gaussian_filter(np.random.default_rng(seed).random((40, 40)), 2) * 200).astype(np.float32)


@pytest.mark.parametrize("depth", [3, 6])
@pytest.mark.parametrize("seed", range(3))
def test_markers_are_the_basins_of_that_depth(seed, depth):
    """scikit-image marks the lowest pixels of basins, by whole depths; a marker here is what is flat when filled."""
    heights = landscape(seed)
    found = basin_markers(heights, depth=depth + 0.5)
    lowest = h_minima(heights.astype(np.int32), depth + 1) > 0
    assert (found[lowest] > 0).all()
    assert set(np.unique(found[lowest])) == set(range(1, found.max() + 1))
    for number in range(1, found.max() + 1):
        floor = heights[found == number]
        assert floor.max() - floor.min() <= depth + 0.5


def test_deeper_basins_are_fewer():
    counts = [int(basin_markers(landscape(0), depth=depth).max()) for depth in (0, 2, 5, 10, 1000)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_an_even_landscape_is_one_basin():
    assert (basin_markers(np.full((5, 6), 3.0, dtype=np.float32), depth=1.0) == 1).all()


def test_floods_are_scikit_images():
    heights = landscape(1)
    markers = basin_markers(heights, depth=3)
    np.testing.assert_array_equal(watershed_regions(heights, markers), watershed(heights, markers))
    round_ones = watershed_regions(heights, markers, compactness=10.0)
    np.testing.assert_array_equal(round_ones, watershed(heights, markers, compactness=10.0))


def test_without_markers_all_is_one():
    assert (watershed_regions(landscape(0), np.zeros((40, 40), dtype=np.int32)) == 1).all()


def test_markers_cure_oversegmentation():
    """SYS-063: every dent of noise is a lake; two marks give the two things there are."""
    truth = np.zeros((60, 60), dtype=np.int32)
    truth[15:45, 20:50] = 1
    noise = np.random.default_rng(0).normal(0, 8, (60, 60, 3))
    image = np.clip(70 + 100 * truth[..., None] + noise, 0, 255).astype(np.uint8)
    heights = colour_gradient(image, 1.0)
    assert watershed_regions(heights, basin_markers(heights, depth=0.0)).max() > 50
    marks = np.zeros_like(truth)
    marks[2, 2], marks[30, 35] = 1, 2
    assert ((watershed_regions(heights, marks) - 1) == truth).mean() > 0.98


def test_colour_alone_makes_a_gradient():
    """Red and green of one lightness have no edge in grey."""
    image = np.zeros((10, 20, 3), dtype=np.uint8)
    image[:, :10] = (200, 60, 60)
    image[:, 10:] = (20, 125, 40)
    assert colour_gradient(image, 0.0)[5, 9:11].min() > 20
