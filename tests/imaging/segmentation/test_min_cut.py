"""Minimum cuts beside all labellings of small grids, and beside networkx on random graphs (SYS-064)."""

from itertools import product

import networkx as nx
import numpy as np
import pytest

from snellen.imaging.segmentation import (
    GridEdges,
    contrast_edges,
    expanded_labels,
    labelling_energy,
    minimum_cut,
    two_labels,
)


def least_energy(costs, edges):
    size = costs.shape[1:]
    return min(
        labelling_energy(np.array(choice).reshape(size), costs, edges)
        for choice in product(range(len(costs)), repeat=int(np.prod(size)))
    )


def some_grid(seed, classes, size=(3, 4)):
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (*size, 3)).astype(np.uint8)
    return generator.random((classes, *size)) * 4, contrast_edges(image, smoothness=2.0)


@pytest.mark.parametrize("seed", range(8))
def test_two_labels_have_the_least_energy_of_all(seed):
    costs, edges = some_grid(seed, 2)
    found = two_labels(costs, edges).astype(int)
    assert labelling_energy(found, costs, edges) == pytest.approx(least_energy(costs, edges))


@pytest.mark.parametrize("seed", range(6))
def test_expansions_end_within_twice_the_least_energy(seed):
    costs, edges = some_grid(seed, 3, (3, 3))
    found = expanded_labels(costs, edges)
    least = least_energy(costs, edges)
    energy = labelling_energy(found, costs, edges)
    assert least - 1e-9 <= energy <= 2 * least
    # And no single expansion lowers it, which is what the algorithm promises.
    for label in range(3):
        for choice in product((False, True), repeat=9):
            other = np.where(np.reshape(choice, (3, 3)), label, found)
            assert labelling_energy(other, costs, edges) >= energy - 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_cuts_of_any_graph_are_those_of_networkx(seed):
    """Costs that differ by direction, as expansions need them."""
    generator = np.random.default_rng(seed)
    number = 12
    pairs = np.array([(a, b) for a in range(number) for b in range(a + 1, number) if generator.random() < 0.4])
    gain = generator.integers(-20, 21, number).astype(float)
    forth, back = generator.integers(0, 11, (2, len(pairs))).astype(float)
    labels = minimum_cut(gain, pairs[:, 0], pairs[:, 1], forth, back)
    network = nx.DiGraph()
    network.add_nodes_from(["source", "sink", *range(number)])
    for node, value in enumerate(gain):
        network.add_edge("source", node, capacity=max(value, 0))
        network.add_edge(node, "sink", capacity=max(-value, 0))
    for (one, other), there, here in zip(pairs.tolist(), forth, back, strict=True):
        network.add_edge(one, other, capacity=there)
        network.add_edge(other, one, capacity=here)
    value, _ = nx.minimum_cut(network, "source", "sink")
    ones, others = labels[pairs[:, 0]], labels[pairs[:, 1]]
    cost = np.maximum(gain, 0)[~labels].sum() + np.maximum(-gain, 0)[labels].sum()
    cost += forth[ones & ~others].sum() + back[~ones & others].sum()
    assert cost == pytest.approx(value)


def test_without_edges_each_pixel_decides():
    gain = np.array([0.5, -0.5, 0.0, np.inf, -np.inf])
    nothing = np.zeros(0, dtype=np.int64)
    labels = minimum_cut(gain, nothing, nothing, np.zeros(0), np.zeros(0))
    assert labels.tolist() == [True, False, False, True, False]


def test_what_must_be_is_held_against_all_neighbours():
    costs = np.zeros((2, 5, 5))
    costs[1] += 100.0  # everybody wants the first label
    costs[0, 2, 2] = np.inf
    image = np.full((5, 5, 3), 9, dtype=np.uint8)
    found = two_labels(costs, contrast_edges(image, smoothness=10.0))
    assert found[2, 2]
    assert found.sum() == 1


def test_smoothness_removes_specks_and_keeps_edges():
    truth = np.zeros((40, 40), dtype=bool)
    truth[10:30, 12:28] = True
    generator = np.random.default_rng(0)
    image = np.clip(80 + 60 * truth[..., None] + generator.normal(0, 45, (40, 40, 3)), 0, 255).astype(np.uint8)
    light = image.mean(axis=-1)
    costs = np.stack([(light - 80) ** 2, (light - 140) ** 2]) / (2 * 45.0**2 / 3)
    alone = (two_labels(costs, contrast_edges(image, smoothness=0.0)) == truth).mean()
    smooth = (two_labels(costs, contrast_edges(image, smoothness=2.0)) == truth).mean()
    assert alone < 0.97
    assert smooth > 0.985


def test_edges_cost_less_across_contrast_and_along_diagonals():
    image = np.zeros((2, 2, 1), dtype=np.float32)
    image[:, 1] = 10
    edges = contrast_edges(image, smoothness=8.0)
    cost = {(int(a), int(b)): w for a, b, w in zip(edges.one, edges.other, edges.weight, strict=True)}
    beta = 1 / (2 * (4 * 100 / 6))  # of six pairs four differ by 10
    assert cost[0, 2] == cost[1, 3] == 8.0
    assert cost[0, 1] == pytest.approx(8 * np.exp(-beta * 100))
    assert cost[0, 3] == pytest.approx(8 / np.sqrt(2) * np.exp(-beta * 100))
    assert cost[1, 2] == pytest.approx(cost[0, 3])


def test_an_even_image_costs_the_same_everywhere():
    edges = contrast_edges(np.full((3, 3, 3), 7, dtype=np.uint8), smoothness=5.0)
    assert isinstance(edges, GridEdges)
    assert len(edges.one) == 20
    assert set(np.round(edges.weight, 6)) == {5.0, round(5 / np.sqrt(2), 6)}


def test_one_class_and_one_pixel():
    edges = contrast_edges(np.zeros((1, 1, 3), dtype=np.uint8), smoothness=1.0)
    assert expanded_labels(np.zeros((1, 1, 1)), edges).tolist() == [[0]]
    assert expanded_labels(np.array([[[2.0]], [[1.0]]]), edges).tolist() == [[1]]
