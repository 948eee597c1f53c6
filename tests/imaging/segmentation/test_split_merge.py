"""Split and merge beside plain recursion and plain search (SYS-062)."""

import numpy as np
import pytest
from scipy.ndimage import label

from snellen.errors import InputError
from snellen.imaging.segmentation import adjacent_pairs, merged_regions, quadtree_regions, split_and_merge


def deviation(values):
    return np.sqrt(values.reshape(-1, values.shape[-1]).var(axis=0).sum())


def plain_quadtree(pixels, limit, least):
    """The same by recursion."""
    height, width = pixels.shape[:2]
    side = 1
    while side < max(height, width, least):
        side *= 2
    squares = []

    def split(row, column, size):
        part = pixels[row : row + size, column : column + size]
        if not part.size:
            return
        if size <= least or deviation(part) <= limit:
            squares.append((row, column, size))
            return
        half = size // 2
        for down, across in ((0, 0), (0, half), (half, 0), (half, half)):
            split(row + down, column + across, half)

    split(0, 0, side)
    labels = np.full((height, width), -1)
    for number, (row, column, size) in enumerate(squares):
        labels[row : row + size, column : column + size] = number
    return labels


def same(one, other):
    """Whether two maps are equal but for their numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()], axis=1), axis=0)
    return len(pairs) == len(np.unique(one)) == len(np.unique(other))


@pytest.mark.parametrize("size", [(16, 16), (13, 21), (1, 9), (1, 1)])
@pytest.mark.parametrize("least", [1, 2, 4])
def test_squares_are_those_of_plain_recursion(size, least):
    generator = np.random.default_rng(sum(size))
    pixels = np.repeat(np.repeat(generator.random((size[0] // 4 + 1, size[1] // 4 + 1, 2)), 4, axis=0), 4, axis=1)
    pixels = (pixels[: size[0], : size[1]] + 0.05 * generator.random((*size, 2))).astype(np.float32)
    found = quadtree_regions(pixels, most_deviation=0.05, least_side_px=least)
    assert same(found, plain_quadtree(pixels.astype(np.float64), 0.05, least))


def test_least_side_must_be_a_power_of_two():
    with pytest.raises(InputError, match=r"power of two .* got 3"):
        quadtree_regions(np.zeros((4, 4, 1), dtype=np.float32), most_deviation=1.0, least_side_px=3)


def plain_merging(labels, pixels, limit):
    """The most even union of all first, everything computed anew each time."""
    labels = labels.copy()
    while True:
        best, chosen = limit, None
        for one, other in adjacent_pairs(labels).tolist():
            union = deviation(pixels[(labels == one) | (labels == other)])
            if union <= best:
                best, chosen = union, (one, other)
        if chosen is None:
            return labels
        labels[labels == chosen[1]] = chosen[0]


@pytest.mark.parametrize("seed", range(4))
def test_merging_is_that_of_plain_search(seed):
    generator = np.random.default_rng(seed)
    pixels = generator.random((6, 7, 2)).astype(np.float32).astype(np.float64)
    single = np.arange(42).reshape(6, 7)
    found = merged_regions(single, pixels.astype(np.float32), most_deviation=0.25)
    assert same(found, plain_merging(single, pixels, 0.25))


def test_regions_are_even_and_no_union_of_neighbours_is():
    generator = np.random.default_rng(3)
    pixels = np.repeat(np.repeat(generator.random((5, 5, 3)) * 200, 6, axis=0), 6, axis=1).astype(np.float32)
    found = split_and_merge(pixels, most_deviation=10.0)
    for number in np.unique(found):
        assert deviation(pixels[found == number]) <= 10.0
        assert label(found == number, structure=np.ones((3, 3)))[1] == 1
    for one, other in adjacent_pairs(found).tolist():
        assert deviation(pixels[(found == one) | (found == other)]) > 10.0


def test_square_borders_are_joined_away():
    truth = np.add.outer(np.arange(40), np.arange(40)) > 39  # a diagonal
    pixels = (50 + 100 * truth).astype(np.float32)[..., None]
    assert len(np.unique(quadtree_regions(pixels, most_deviation=5.0))) > 50
    found = split_and_merge(pixels, most_deviation=5.0)
    assert same(found, truth.astype(int))


def test_small_regions_join_their_likest_neighbour():
    pixels = np.zeros((8, 12, 1), dtype=np.float32)
    pixels[:, 6:] = 100
    pixels[3:5, 5:7] = 80  # nearer to the right side
    found = split_and_merge(pixels, most_deviation=1.0, least_px=6)
    assert len(np.unique(found)) == 2
    assert found[3, 5] == found[0, 11]
    assert np.bincount(found.ravel()).min() >= 6


def test_regions_are_numbered_as_they_come():
    pixels = np.array([[[0.0], [0.0], [9.0], [5.0]]], dtype=np.float32)
    assert split_and_merge(pixels, most_deviation=0.1).tolist() == [[0, 0, 1, 2]]
