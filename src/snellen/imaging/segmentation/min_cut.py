"""Minimum cuts: labels of least energy, exactly for two of them and by expansions for more.

Shapes: n nodes, m edges, K labels.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64, UInt8
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

__all__ = ["GridEdges", "contrast_edges", "expanded_labels", "labelling_energy", "minimum_cut", "two_labels"]

_LARGEST_CAPACITY = 2**24  # capacities are whole numbers of 32 bits; the largest becomes this
_DECISIVE = 1.01  # of all that the edges of a node can cost: what no neighbour can make up for
_MOST_ROUNDS = 5  # of expansions over all labels; energies hardly fall after two, Boykov et al. 2001, section 8


class GridEdges(NamedTuple):
    """Neighbouring pixels, and what it costs to part them.

    Attributes:
        one: Flat places.
        other: Flat places.
        weight: Of each pair.
    """

    one: Int64[np.ndarray, " m"]
    other: Int64[np.ndarray, " m"]
    weight: Float64[np.ndarray, " m"]


def contrast_edges(
    image: UInt8[np.ndarray, "height width 3"] | Float32[np.ndarray, "height width channels"], *, smoothness: float
) -> GridEdges:
    """Return pairs of 8 neighbours; parting two costs the less the more they differ.

    Args:
        image: Of any scale: differences count relative to the image's mean one.
        smoothness: What it costs to part two equal neighbours.

    Source:
        Boykov and Jolly 2001, equation 4, with β of Rother et al. 2004, equations 4 and 5; diagonals count by the
        inverse of their length.
    """
    pixels = image.astype(np.float64)
    height, width = pixels.shape[:2]
    places = np.arange(height * width).reshape(height, width)
    parts = []
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = np.s_[: height - down, max(0, -across) : width - max(0, across)]
        there = np.s_[down:, max(0, across) : width - max(0, -across)]
        squared = np.square(pixels[here] - pixels[there]).sum(axis=-1)
        parts.append((places[here].ravel(), places[there].ravel(), squared.ravel(), np.hypot(down, across)))
    mean = np.concatenate([squared for _, _, squared, _ in parts]).mean() if height * width > 1 else 0.0
    beta = 1 / (2 * mean) if mean > 0 else 0.0
    return GridEdges(
        one=np.concatenate([one for one, _, _, _ in parts]),
        other=np.concatenate([other for _, other, _, _ in parts]),
        weight=np.concatenate([smoothness / length * np.exp(-beta * squared) for _, _, squared, length in parts]),
    )


def minimum_cut(
    gain: Float64[np.ndarray, " n"],
    one: Int64[np.ndarray, " m"],
    other: Int64[np.ndarray, " m"],
    forth: Float64[np.ndarray, " m"],
    back: Float64[np.ndarray, " m"],
) -> Bool[np.ndarray, " n"]:
    """Return the labels x of least energy Σ −gain·x + Σ forth·x₁(1 − x₂) + back·(1 − x₁)x₂.

    Args:
        gain: What a node gains by the label True; infinite where it must have it, −infinite where it must not.
        one: First node of each edge.
        other: Second node of each edge.
        forth: Cost where the first node alone is True; 0 or more.
        back: Cost where the second node alone is True; 0 or more.

    Returns:
        Of all labels of least energy those with the fewest True. Costs are rounded to 2⁻²⁴ of what the edges of one
        node cost at most.

    Source:
        Greig, Porteous and Seheult 1989; the maximum flow is that of scipy (Dinic's algorithm).
    """
    number = len(gain)
    degrees = np.bincount(one, forth + back, number) + np.bincount(other, forth + back, number)
    decisive = _DECISIVE * float(degrees.max(initial=0))
    if decisive == 0:
        return np.asarray(gain > 0)
    bounded = np.clip(gain, -decisive, decisive)
    scale = _LARGEST_CAPACITY / decisive
    source, sink = number, number + 1
    nodes = np.arange(number)
    heads = np.concatenate([np.full(number, source), nodes, one, other])
    tails = np.concatenate([nodes, np.full(number, sink), other, one])
    costs = np.concatenate([np.maximum(bounded, 0), np.maximum(-bounded, 0), forth, back])
    capacity = np.rint(costs * scale).astype(np.int32)
    used = capacity > 0
    graph = csr_array((capacity[used], (heads[used], tails[used])), shape=(number + 2, number + 2))
    residual = graph - maximum_flow(graph, source, sink).flow
    residual.data = np.maximum(residual.data, 0)
    residual.eliminate_zeros()
    reached = breadth_first_order(residual, source, return_predecessors=False)
    labels = np.zeros(number + 2, dtype=bool)
    labels[reached] = True
    return labels[:number]


def two_labels(costs: Float64[np.ndarray, "2 height width"], edges: GridEdges) -> Bool[np.ndarray, "height width"]:
    """Return the labelling of least energy, exactly: True where the second label is better for the whole.

    Args:
        costs: Of each label at each pixel; infinite where it must not be. One of the two must be finite.
        edges: What it costs to part neighbours.
    """
    with np.errstate(invalid="ignore"):
        gain = (costs[0] - costs[1]).ravel()
    return minimum_cut(gain, edges.one, edges.other, edges.weight, edges.weight).reshape(costs.shape[1:])


def labelling_energy(
    labels: NDArray[np.integer], costs: Float64[np.ndarray, "K height width"], edges: GridEdges
) -> float:
    """Return what a labelling costs: the costs of its labels, and of the neighbours that it parts.

    Source:
        Boykov, Veksler and Zabih 2001, equation 1, with Potts' model.
    """
    flat = labels.ravel()
    chosen = np.take_along_axis(costs.reshape(len(costs), -1), flat[None].astype(np.int64), axis=0)
    return float(chosen.sum() + edges.weight[flat[edges.one] != flat[edges.other]].sum())


def expanded_labels(
    costs: Float64[np.ndarray, "K height width"], edges: GridEdges, *, start: NDArray[np.integer] | None = None
) -> Int32[np.ndarray, "height width"]:
    """Return a labelling whose energy no expansion of a single label can lower; for two labels the best there is.

    For more than two labels the energy is at most twice the least.

    Args:
        costs: Of each label at each pixel; infinite where it must not be.
        edges: What it costs to part neighbours.
        start: Labels to begin with; None for the cheapest ones.

    Source:
        Boykov, Veksler and Zabih 2001, "Fast approximate energy minimization via graph cuts", section 5; an expansion
        as one cut without auxiliary nodes: Kolmogorov and Zabih 2004, "What energy functions can be minimized via graph
        cuts?", section 4.
    """
    if len(costs) == 1:
        return np.zeros(costs.shape[1:], dtype=np.int32)
    if len(costs) == 2:
        return two_labels(costs, edges).astype(np.int32)
    labels = costs.argmin(axis=0) if start is None else np.array(start)
    energy = labelling_energy(labels, costs, edges)
    for _ in range(_MOST_ROUNDS):
        before = energy
        for label in range(len(costs)):
            changed = _expanded(labels, label, costs, edges)
            its_energy = labelling_energy(changed, costs, edges)
            if its_energy < energy:
                labels, energy = changed, its_energy
        if energy >= before:
            break
    return labels.astype(np.int32)


def _expanded(
    labels: NDArray[np.integer], label: int, costs: NDArray[np.float64], edges: GridEdges
) -> NDArray[np.integer]:
    """Return the labels of least energy among those where every pixel keeps its label or takes ``label``."""
    flat = labels.ravel()
    own = np.take_along_axis(costs.reshape(len(costs), -1), flat[None].astype(np.int64), axis=0)[0]
    gain = own - costs[label].ravel()
    one, other = flat[edges.one], flat[edges.other]
    both_keep = edges.weight * (one != other)
    one_keeps = edges.weight * (one != label)
    other_keeps = edges.weight * (other != label)
    gain -= np.bincount(edges.one, other_keeps - both_keep, len(flat))
    gain += np.bincount(edges.other, other_keeps, len(flat))
    takes = minimum_cut(gain, edges.one, edges.other, np.zeros_like(both_keep), one_keeps + other_keeps - both_keep)
    return np.where(takes.reshape(labels.shape), label, labels)
