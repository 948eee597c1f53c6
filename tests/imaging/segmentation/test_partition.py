"""Regions, their sizes, means, neighbours, and which of them lie inside."""

import numpy as np
import pytest

from snellen.imaging.segmentation import (
    CHANNELS,
    adjacent_pairs,
    channel_of,
    felzenszwalb_regions,
    inner_regions,
    partition_of,
    region_means,
    region_sizes,
    smoothed_lab,
)


def test_numbers_are_made_anew():
    found = partition_of(np.array([[7, 7, -2], [7, 3, 3]]))
    assert found.labels.tolist() == [[2, 2, 0], [2, 1, 1]]
    assert found.num_regions == 3
    assert found.sides is None
    assert found.side_map() is found.labels


def test_sides_keep_what_they_mean():
    found = partition_of(np.array([[2, 0], [2, 2]]), is_sides=True)
    assert found.labels.tolist() == [[1, 0], [1, 1]]
    assert found.sides.tolist() == [0, 2]
    assert found.side_map().tolist() == [[2, 0], [2, 2]]


def test_sizes_and_means():
    labels = np.array([[0, 0, 1], [0, 2, 1]])
    values = np.arange(12.0).reshape(2, 3, 2)
    assert region_sizes(labels).tolist() == [3, 2, 1]
    wanted = [values[labels == number].mean(axis=0) for number in range(3)]
    np.testing.assert_allclose(region_means(labels, values), wanted)


def test_regions_touch_over_the_sides_of_pixels():
    labels = np.array([[0, 1], [2, 0]])
    assert adjacent_pairs(labels).tolist() == [[0, 1], [0, 2]]
    assert adjacent_pairs(np.zeros((3, 3), dtype=int)).shape == (0, 2)


def test_of_two_sides_one_is_inside():
    labels = np.zeros((10, 10), dtype=int)
    labels[3:8, 2:7] = 1
    assert inner_regions(labels).tolist() == [False, True]
    assert inner_regions(1 - labels).tolist() == [True, False]


def test_a_thing_may_touch_the_frame():
    labels = np.zeros((20, 20), dtype=int)
    labels[5:20, 6:14] = 1  # stands on the lower edge
    assert inner_regions(labels).tolist() == [False, True]


def test_a_single_region_is_not_inside():
    assert inner_regions(np.zeros((4, 5), dtype=int)).tolist() == [False]


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_are_single_and_of_eight_bits(name):
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3)).astype(np.uint8)
    before = image.copy()
    for sigma in (0.0, 1.5):
        found = channel_of(image, name, sigma_px=sigma)
        assert found.shape == (6, 7)
        assert found.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


def test_lab_is_on_one_scale():
    image = np.array([[[255, 255, 255], [0, 0, 0]]], dtype=np.uint8)
    np.testing.assert_allclose(smoothed_lab(image), [[[255, 128, 128], [0, 128, 128]]], atol=1)


def test_felzenszwalb_finds_plain_areas():
    image = np.full((40, 50, 3), 60, dtype=np.uint8)
    image[10:30, 15:40] = 200
    found = felzenszwalb_regions(image, 50, sigma_px=0.0)
    assert found.max() == 1
    assert (found == found[20, 20]).sum() == 500
