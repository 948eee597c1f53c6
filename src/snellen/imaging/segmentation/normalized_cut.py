"""Normalised cuts: the parts that belong together least, relative to all that they belong to.

Shapes: n nodes, R superpixels.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt8
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from snellen.imaging.segmentation.channels import smoothed_lab
from snellen.imaging.segmentation.partition import region_means
from snellen.imaging.segmentation.superpixels import slic_regions

__all__ = ["cut_value", "normalized_cut", "normalized_cut_regions", "region_affinity", "two_way_cut"]

_LEAST_AFFINITY = 1e-12  # below it two nodes are not connected: rounding would decide which side they fall to


def cut_value(affinity: Float64[np.ndarray, "n n"], side: Bool[np.ndarray, " n"]) -> float:
    """Return the normalised cut of a division: what is cut, as a share of all that each side is connected to, added up.

    Args:
        affinity: Symmetric, 0 and above; the diagonal counts as a connection of a node with itself.
        side: Which nodes are on one side; both must have some.

    Source:
        Shi and Malik 2000, equation 2.
    """
    cut = affinity[side][:, ~side].sum()
    degrees = affinity.sum(axis=1)
    return float(cut / degrees[side].sum() + cut / degrees[~side].sum())


def two_way_cut(affinity: Float64[np.ndarray, "n n"]) -> tuple[Bool[np.ndarray, " n"], float]:
    """Return the best division along the second eigenvector, and its normalised cut; infinite for a single node.

    Nodes are put in the order of their entries in the generalised eigenvector of (D − W) y = λ D y with the second
    smallest value, and every place in this order is tried, not only some of them.

    Args:
        affinity: Symmetric, 0 and above.

    Source:
        Shi and Malik 2000, section 2.1 and steps 2 and 3 of section 3.
    """
    number = len(affinity)
    if number < 2:
        return np.zeros(number, dtype=bool), np.inf
    parts, part = connected_components(csr_array(affinity > _LEAST_AFFINITY), directed=False)
    if parts > 1:
        return part == part[0], 0.0
    degrees = affinity.sum(axis=1)
    _, vectors = eigh(np.diag(degrees) - affinity, np.diag(degrees), subset_by_index=[1, 1])
    order = np.argsort(vectors[:, 0], kind="stable")
    sorted_affinity = affinity[order][:, order]
    # Cut before place i: what the nodes before i are connected to behind it.
    before = np.cumsum(degrees[order])[:-1]
    within = np.cumsum(2 * np.tril(sorted_affinity, -1).sum(axis=1) + np.diag(sorted_affinity))[:-1]
    cuts = np.maximum(before - within, 0)
    values = cuts / before + cuts / (degrees.sum() - before)
    best = int(np.argmin(values))
    side = np.zeros(number, dtype=bool)
    side[order[: best + 1]] = True
    return side, float(values[best])


def normalized_cut(
    affinity: Float64[np.ndarray, "n n"], *, most_cut: float, most_parts: int | None = None
) -> Int32[np.ndarray, " n"]:
    """Divide nodes in two, the parts in two again, the cheapest cut first, while a cut costs no more than ``most_cut``.

    Args:
        affinity: Symmetric, 0 and above.
        most_cut: Greatest normalised cut that is made, 0..2.
        most_parts: Parts at which dividing ends; None for no end but ``most_cut``.

    Returns:
        The part of each node, 0..P-1, in the order of their first nodes.

    Source:
        Shi and Malik 2000, section 3. The paper divides part by part; here always the part with the cheapest cut, so
        that a number of parts can be asked for.
    """
    members = [np.arange(len(affinity))]
    cuts = [two_way_cut(affinity)]
    while most_parts is None or len(members) < most_parts:
        cheapest = int(np.argmin([value for _, value in cuts]))
        side, value = cuts[cheapest]
        if value > most_cut or not np.isfinite(value):
            break
        nodes = members.pop(cheapest)
        cuts.pop(cheapest)
        for part in (nodes[side], nodes[~side]):
            members.append(part)
            cuts.append(two_way_cut(affinity[np.ix_(part, part)]))
    labels = np.empty(len(affinity), dtype=np.int32)
    for number, nodes in enumerate(sorted(members, key=lambda part: int(part[0]))):
        labels[nodes] = number
    return labels


def region_affinity(
    colours: NDArray[np.floating],
    places: NDArray[np.floating],
    *,
    colour_sigma: float,
    place_sigma: float,
    most_distance: float,
) -> Float64[np.ndarray, "n n"]:
    """Return how much regions belong together: alike in colour, near each other, and not at all beyond a distance.

    Args:
        colours: Mean of each region, [n, channels].
        places: Centre of each region, [n, 2].
        colour_sigma: Difference of colour at which the affinity is e⁻¹, in the units of ``colours``.
        place_sigma: Distance at which it is, in the units of ``places``.
        most_distance: Beyond it regions are not connected.

    Source:
        Shi and Malik 2000, equation 11.
    """
    colour = np.square(colours[:, None] - colours[None]).sum(axis=-1)
    distance = np.square(places[:, None] - places[None]).sum(axis=-1)
    affinity = np.exp(-colour / colour_sigma**2 - distance / place_sigma**2)
    return np.where(distance <= most_distance**2, affinity, 0.0)


def normalized_cut_regions(
    image: UInt8[np.ndarray, "height width 3"],
    *,
    superpixels: int = 300,
    most_cut: float = 0.1,
    most_parts: int | None = None,
    colour_sigma: float = 15.0,
    place_share: float = 0.2,
) -> Int32[np.ndarray, "height width"]:
    """Return normalised cuts of the graph of an image's superpixels.

    Args:
        image: RGB.
        superpixels: Nodes of the graph, about.
        most_cut: See ``normalized_cut``.
        most_parts: See ``normalized_cut``.
        colour_sigma: In levels of CIE L*a*b*; see ``region_affinity``.
        place_share: Distance at which the affinity is e⁻¹, as a share of the image's diagonal; beyond twice that there
            is none.

    Source:
        Shi and Malik 2000; on SLIC superpixels instead of pixels, so that the eigenvector takes a fraction of a second.
    """
    nodes = slic_regions(image, superpixels)
    colours = region_means(nodes, smoothed_lab(image))
    places = region_means(nodes, np.moveaxis(np.indices(nodes.shape, dtype=np.float32), 0, -1))
    sigma = max(place_share * float(np.hypot(*nodes.shape)), 1.0)
    affinity = region_affinity(colours, places, colour_sigma=colour_sigma, place_sigma=sigma, most_distance=2 * sigma)
    return np.asarray(normalized_cut(affinity, most_cut=most_cut, most_parts=most_parts)[nodes])
