"""Clusters of colours beside scikit-learn's (SYS-293, Q-151)."""

import numpy as np
import pytest
from sklearn.cluster import KMeans, MeanShift
from sklearn.metrics import adjusted_rand_score

from snellen.errors import InputError
from snellen.imaging.segmentation import (
    kmeans_regions,
    mean_shift_clusters,
    mean_shift_regions,
    smoothed_lab,
)

COLOURS = np.array([[20, 20, 20], [200, 40, 40], [40, 160, 60], [230, 230, 230]])


def patches(seed=0, noise=6, side=40):
    """Four colours in random cells of 4 px, with noise; and which colour each pixel is of."""
    generator = np.random.default_rng(seed)
    truth = np.kron(generator.integers(0, 4, (side // 4, side // 4)), np.ones((4, 4), dtype=int))
    image = np.clip(COLOURS[truth] + generator.normal(0, noise, (side, side, 3)), 0, 255).astype(np.uint8)
    return image, truth


def test_kmeans_finds_the_colours():
    image, truth = patches()
    assert adjusted_rand_score(truth.ravel(), kmeans_regions(image, 4).ravel()) > 0.99


def test_clusters_go_from_dark_to_bright():
    image, _ = patches()
    found = kmeans_regions(image, 4)
    lightness = smoothed_lab(image)[..., 0]
    means = [lightness[found == number].mean() for number in range(4)]
    assert means == sorted(means)


def test_kmeans_is_as_good_as_scikit_learns():
    image, _ = patches(noise=40)
    points = smoothed_lab(image).reshape(-1, 3)
    found = kmeans_regions(image, 6).ravel()
    cost = sum(((points[found == k] - points[found == k].mean(axis=0)) ** 2).sum() for k in range(6))
    assert cost <= 1.02 * KMeans(6, n_init=10, random_state=1).fit(points).inertia_


def test_fewer_colours_than_clusters():
    image = np.zeros((4, 6, 3), dtype=np.uint8)
    image[:, 3:] = 255
    assert kmeans_regions(image, 5).tolist() == [[0, 0, 0, 1, 1, 1]] * 4


def test_place_parts_one_colour():
    image = np.full((20, 40, 3), 90, dtype=np.uint8)
    found = kmeans_regions(image, 2, place_weight=100.0)
    assert adjusted_rand_score((np.indices((20, 40))[1] >= 20).ravel(), found.ravel()) > 0.95


def test_the_same_image_is_always_cut_alike():
    image, _ = patches(noise=40)
    np.testing.assert_array_equal(kmeans_regions(image, 5), kmeans_regions(image, 5))


@pytest.mark.parametrize("seed", range(3))
def test_mean_shift_is_scikit_learns(seed):
    generator = np.random.default_rng(seed)
    centres = np.array([[0, 0], [10, 0], [0, 12.0]])
    points = np.concatenate([generator.normal(centre, 1.2, (60, 2)) for centre in centres])
    modes, owners = mean_shift_clusters(points, np.ones(len(points)), bandwidth=4.0)
    other = MeanShift(bandwidth=4.0).fit(points)
    assert len(modes) == len(other.cluster_centers_) == 3
    assert adjusted_rand_score(other.labels_, owners) == 1.0
    distances = np.linalg.norm(modes[:, None] - other.cluster_centers_[None], axis=-1).min(axis=1)
    assert distances.max() < 0.1


def test_weights_are_repetitions():
    generator = np.random.default_rng(0)
    points = np.concatenate([generator.normal(centre, 1.0, (30, 2)) for centre in ((0, 0), (8, 8))])
    weights = generator.integers(1, 4, len(points))
    modes, owners = mean_shift_clusters(points, weights.astype(float), bandwidth=3.0)
    again, repeated = mean_shift_clusters(np.repeat(points, weights, axis=0), np.ones(weights.sum()), bandwidth=3.0)
    assert modes.shape == again.shape
    np.testing.assert_allclose(modes, again, atol=0.05)
    np.testing.assert_array_equal(np.repeat(owners, weights), repeated)


def test_modes_are_the_densest_first():
    points = np.concatenate([np.zeros((5, 1)), np.full((20, 1), 50.0)])
    modes, owners = mean_shift_clusters(points, np.ones(25), bandwidth=5.0)
    assert modes.ravel().tolist() == [50, 0]
    assert owners.tolist() == [1] * 5 + [0] * 20


def test_bandwidth_must_be_above_zero():
    with pytest.raises(InputError, match=r"bandwidth must be above 0; got 0"):
        mean_shift_clusters(np.zeros((3, 2)), np.ones(3), bandwidth=0)


def test_mean_shift_needs_no_number():
    image, truth = patches()
    found = mean_shift_regions(image, 24.0)
    assert len(np.unique(found)) == 4
    assert adjusted_rand_score(truth.ravel(), found.ravel()) > 0.99
