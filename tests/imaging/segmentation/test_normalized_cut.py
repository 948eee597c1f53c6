"""Normalised cuts beside every division of small graphs, scipy's eigenvectors and scikit-image."""

from itertools import product

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh
from skimage import graph
from sklearn.metrics import adjusted_rand_score

from snellen.imaging.segmentation import (
    cut_value,
    normalized_cut,
    normalized_cut_regions,
    region_affinity,
    region_means,
    slic_regions,
    two_way_cut,
)


def clusters(seed, sizes=(5, 6), within=1.0, between=0.05):
    generator = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    strength = np.where(truth[:, None] == truth, within, between) * generator.uniform(0.5, 1.0, (sum(sizes),) * 2)
    affinity = (strength + strength.T) / 2
    np.fill_diagonal(affinity, 0)
    order = generator.permutation(len(truth))
    return affinity[order][:, order], truth[order]


def test_cut_value_is_the_papers():
    affinity = np.array([[0, 2, 1.0], [2, 0, 0], [1, 0, 0]])
    side = np.array([True, True, False])
    assert cut_value(affinity, side) == pytest.approx(1 / 5 + 1 / 1)


@pytest.mark.parametrize("seed", range(5))
def test_no_division_is_better(seed):
    affinity, truth = clusters(seed)
    side, value = two_way_cut(affinity)
    assert value == pytest.approx(cut_value(affinity, side))
    best = min(
        cut_value(affinity, np.array((True, *choice)))
        for choice in product((True, False), repeat=len(affinity) - 1)
        if not all(choice)
    )
    assert value == pytest.approx(best)
    assert adjusted_rand_score(truth, side) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_every_place_along_the_eigenvector_is_tried(seed):
    affinity = np.random.default_rng(seed).random((30, 30))
    affinity = affinity + affinity.T
    degrees = affinity.sum(axis=1)
    scaled = affinity / np.sqrt(np.outer(degrees, degrees))
    values, vectors = eigsh(scaled, k=2, which="LA")
    order = np.argsort(vectors[:, np.argsort(values)[0]] / np.sqrt(degrees))
    places = [np.isin(np.arange(30), order[:count]) for count in range(1, 30)]
    assert two_way_cut(affinity)[1] == pytest.approx(min(cut_value(affinity, side) for side in places))


def test_parts_that_are_not_connected_cost_nothing():
    affinity = np.zeros((5, 5))
    affinity[:2, :2] = affinity[2:, 2:] = 1.0
    side, value = two_way_cut(affinity)
    assert value == 0.0
    assert adjusted_rand_score([0, 0, 1, 1, 1], side) == 1.0


def test_single_nodes_are_not_cheap():
    """Why the cut is normalised: a plain minimum cut would cut off the loose node."""
    affinity, _ = clusters(0, sizes=(8, 8))
    affinity[0, 1:] = affinity[1:, 0] = 0.02
    side, _ = two_way_cut(affinity)
    assert min(side.sum(), (~side).sum()) >= 7
    assert affinity[0].sum() < affinity[np.ix_(side, ~side)].sum()


def test_three_parts_and_where_it_ends():
    affinity, truth = clusters(1, sizes=(6, 7, 8))
    assert adjusted_rand_score(truth, normalized_cut(affinity, most_cut=0.5)) == 1.0
    assert len(np.unique(normalized_cut(affinity, most_cut=2.0, most_parts=2))) == 2
    assert not normalized_cut(affinity, most_cut=0.0).any()
    assert normalized_cut(affinity, most_cut=0.5)[0] == 0  # numbered in the order of first nodes


def scene():
    image = np.zeros((60, 80, 3), dtype=np.uint8)
    image[:, :30] = (200, 60, 50)
    image[:, 30:] = (50, 80, 200)
    image[:25, 50:] = (220, 220, 90)
    truth = np.zeros((60, 80), dtype=int)
    truth[:, 30:] = 1
    truth[:25, 50:] = 2
    return np.clip(image + np.random.default_rng(0).normal(0, 6, image.shape), 0, 255).astype(np.uint8), truth


def test_the_parts_of_a_scene_are_those_of_scikit_image():
    image, truth = scene()
    found = normalized_cut_regions(image, superpixels=80, most_cut=0.1)
    regions = slic_regions(image, 80)
    theirs = graph.cut_normalized(
        regions, graph.rag_mean_color(image, regions, mode="similarity", sigma=2000.0), thresh=0.05, rng=0
    )
    assert adjusted_rand_score(truth.ravel(), found.ravel()) > 0.95
    assert adjusted_rand_score(theirs.ravel(), found.ravel()) > 0.9


def test_affinity_is_the_papers():
    found = region_affinity(
        np.array([[0.0], [3.0], [0.0]]), np.array([[0.0, 0], [0, 4], [0, 30]]), colour_sigma=3, place_sigma=4,
        most_distance=10,
    )  # fmt: skip
    np.testing.assert_allclose(found, [[1, np.exp(-2), 0], [np.exp(-2), 1, 0], [0, 0, 1]])


def test_superpixels_keep_to_edges():
    image, truth = scene()
    regions = slic_regions(image, 80)
    purity = region_means(regions, np.stack([truth == label for label in range(3)], axis=-1).astype(float)).max(axis=1)
    sizes = np.bincount(regions.ravel())
    assert 50 <= len(sizes) <= 110
    assert (purity * sizes).sum() / sizes.sum() > 0.97


def test_one_superpixel():
    assert not normalized_cut_regions(np.full((5, 5, 3), 9, dtype=np.uint8), superpixels=2).any()
