"""Initial regions beside the algorithm word for word (SYS-006, NUM-070)."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from snellen.data import read_image
from snellen.imaging.colour_spaces import hsv
from snellen.imaging.graph_segmentation import graph_regions


def grid_edges(smooth):
    height, width = smooth.shape[1:]
    edges = []
    for row, column in np.ndindex(height, width):
        for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
            other = (row + down, column + across)
            if other[0] < height and 0 <= other[1] < width:
                weight = np.linalg.norm(smooth[:, row, column] - smooth[(slice(None), *other)])
                edges.append((weight, (row, column), other))
    return sorted(edges)


def plain_regions(channels, threshold, sigma):
    """Algorithm 1 of Felzenszwalb and Huttenlocher, then small regions joined over their lightest edges."""
    edges = grid_edges(np.stack([gaussian_filter(channel.astype(float), sigma) for channel in channels]))
    region = {pixel: {pixel} for pixel in np.ndindex(channels.shape[1:])}
    inner = dict.fromkeys(region, 0.0)

    def join(one, other, weight):
        both = region[one] | region[other]
        for pixel in both:
            region[pixel] = both
            inner[pixel] = weight

    for weight, one, other in edges:
        limits = [inner[pixel] + threshold / len(region[pixel]) for pixel in (one, other)]
        if region[one] is not region[other] and weight <= min(limits):
            join(one, other, weight)
    for weight, one, other in edges:
        if region[one] is not region[other] and min(len(region[one]), len(region[other])) < threshold:
            join(one, other, weight)
    return {frozenset(pixels) for pixels in region.values()}


def as_sets(labels):
    return {
        frozenset(zip(*map(np.ndarray.tolist, np.nonzero(labels == label)), strict=True)) for label in np.unique(labels)
    }


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_regions_are_those_of_the_plain_algorithm(channels, seed):
    image = np.random.default_rng(seed).integers(0, 256, (channels, 16, 18), dtype=np.uint8)
    image[:, 4:12, 5:14] //= 4
    thrice = np.broadcast_to(image, (3, 16, 18))
    found = graph_regions(image, (5, 20, 60), sigma_px=0.8)
    for labels, threshold in zip(found, (5, 20, 60), strict=True):
        assert as_sets(labels) == plain_regions(thrice, threshold, 0.8)
        assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))


def test_flat_areas_stay_whole():
    image = np.zeros((3, 40, 50), dtype=np.uint8)
    image[0, 10:30, 20:45] = 200
    [labels] = graph_regions(image, (100,), sigma_px=0.8)
    assert sorted(np.bincount(labels.ravel()).tolist()) == [500, 1500]


def test_a_photograph_has_a_few_hundred_regions(shared_data):
    """NUM-070: one or two thousand initial regions are claimed; there are a few hundred, and 2R - 1 in a hierarchy."""
    paths = sorted((shared_data / "voc100" / "images").glob("*.jpg"))[3:5]
    for path in paths:
        image = np.ascontiguousarray(read_image(path).permute(1, 2, 0).numpy())
        for labels in graph_regions(hsv(image), (50, 100), sigma_px=0.8):
            assert 50 < labels.max() + 1 < 1000
            assert np.bincount(labels.ravel()).min() >= 50
