"""Graph cuts: what is wanted is told by marks or a box, the cut finds the border of least cost.

Shapes: K classes.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt8
from numpy.typing import NDArray

from snellen.errors import InputError
from snellen.imaging.segmentation.hints import Hints, box_mask, edge_strip
from snellen.imaging.segmentation.min_cut import contrast_edges, expanded_labels
from snellen.imaging.segmentation.mixtures import (
    Mixture,
    fitted_mixture,
    hard_mixture,
    mixture_costs,
    nearest_components,
    started_components,
)

__all__ = ["SMOOTHNESS", "VARIANCE_FLOOR", "grab_cut", "graph_cut"]

SMOOTHNESS = 50.0  # what it costs to part two equal neighbours; γ of Rother et al. 2004, section 2
VARIANCE_FLOOR = 4.0  # squared levels of 0..255: less is noise of quantisation and of JPEG
_SEED = 0  # of the starts of k-means and EM, so that an image is always cut alike

RgbImage = UInt8[np.ndarray, "height width 3"]


def graph_cut(
    image: RgbImage,
    hints: Hints,
    *,
    smoothness: float = SMOOTHNESS,
    components: int = 5,
    margin: float = 0.05,
) -> Int32[np.ndarray, "height width"]:
    """Return the labels of least energy: what explains each pixel's colour, and short borders where colours change.

    With marks, classes look as their marks do and marked pixels keep their class. With a box, the background looks as
    what is outside, which is background for sure, and the foreground as what is inside. With costs, these are taken.

    Args:
        image: RGB.
        hints: What is known; with nothing, the image without its margin is the box.
        smoothness: What it costs to part two equal neighbours.
        components: Gaussians of each class's colours.
        margin: Share of each side that is background where nothing is known.

    Raises:
        InputError: If a class has no mark, or a box holds nothing or everything.

    Source:
        Boykov and Jolly 2001, "Interactive graph cuts for optimal boundary and region segmentation of objects in N-D
        images", equations 1 to 4 and table 1. Differs: Gaussian mixtures of colour instead of histograms of grey. More
        than two classes by expansions.
    """
    edges = contrast_edges(image, smoothness=smoothness)
    fixed = _fixed_seeds(image, hints, margin)
    costs = hints.costs
    if costs is None:
        pixels = image.reshape(-1, 3)
        # Boykov and Jolly learn the background from what is marked, the inside of a box from all of it.
        of_class = [fixed.ravel() == label + 1 for label in range(hints.num_classes)]
        if hints.seeds is None:
            of_class[1] = ~of_class[0]
        mixtures = [fitted_mixture(pixels[chosen], components, floor=VARIANCE_FLOOR, seed=_SEED) for chosen in of_class]
        costs = np.stack([mixture_costs(pixels, mixture) for mixture in mixtures]).reshape(-1, *fixed.shape)
    return expanded_labels(_held(costs, fixed), edges)


def grab_cut(
    image: RgbImage,
    hints: Hints,
    *,
    smoothness: float = SMOOTHNESS,
    components: int = 5,
    iterations: int = 5,
    prior_weight: float = 0.5,
    margin: float = 0.05,
) -> Int32[np.ndarray, "height width"]:
    """Return what cut and colours agree on: the cut says what belongs to each class, that what its colours are, again.

    Args:
        image: RGB.
        hints: What is known, as for ``graph_cut``; marks within a box hold, too.
        smoothness: What it costs to part two equal neighbours.
        components: Gaussians of each class's colours.
        iterations: Most rounds; it ends before if a round changes nothing.
        prior_weight: Of costs that are given, beside those of the image's own colours, 0..1.
        margin: Share of each side that is background where nothing is known. Sides of a box at the edge of the image
            have such a strip, too, which is background to begin with and no longer than the cuts want it so.

    Raises:
        InputError: If a class has no mark, or a box holds nothing or everything.

    Source:
        Rother, Kolmogorov and Blake 2004, "GrabCut: interactive foreground extraction using iterated graph cuts",
        figure 3, without border matting. Differs: costs of classes that were learned from other images may take part;
        and the strips of ``margin``, for a thing as large as the image leaves nothing outside of its box to learn from.
    """
    edges = contrast_edges(image, smoothness=smoothness)
    fixed = _fixed_seeds(image, hints, margin)
    first = _first_labels(fixed, hints)

    def agreed(labels: Int32[np.ndarray, "height width"]) -> Int32[np.ndarray, "height width"]:
        pixels = image.reshape(-1, 3).astype(np.float64)
        parts = _started(pixels, labels, hints.num_classes, components)
        for _ in range(iterations):
            costs = _own_costs(pixels, labels, parts, components).reshape(-1, *fixed.shape)
            if hints.costs is not None:
                costs = prior_weight * hints.costs + (1 - prior_weight) * costs
            changed = expanded_labels(_held(costs, fixed), edges, start=labels if hints.num_classes > 2 else None)
            if (changed == labels).all():
                break
            labels = changed
        return labels

    if hints.box is not None and hints.costs is None:
        strip = edge_strip(hints.box, fixed.shape, margin=margin) & (fixed == 0)
        if strip.any():
            found = agreed(np.where(strip, 0, first).astype(np.int32))
            if found.any():  # or the strip held the thing's colours, and all became background
                return found
    return agreed(first)


def _fixed_seeds(image: RgbImage, hints: Hints, margin: float) -> Int32[np.ndarray, "height width"]:
    """Return the class plus 1 of each pixel that is known for sure, and 0 of the others."""
    size = image.shape[:2]
    if hints.costs is not None:
        return np.zeros(size, dtype=np.int32) if hints.seeds is None else hints.seeds
    if hints.seeds is None:
        return (~box_mask(hints.box, size, margin=margin)).astype(np.int32)
    seeds = hints.seeds.copy()
    if hints.box is not None:
        seeds[~box_mask(hints.box, size, margin=margin) & (seeds == 0)] = 1
    missing = sorted(set(range(1, hints.num_classes + 1)) - set(np.unique(seeds).tolist()))
    if missing:
        raise InputError(
            f"seeds must mark every class, 1 for background, 2 for foreground, …; there is no mark {missing[0]}. Mark "
            "at least one pixel of it, or give a box."
        )
    return seeds


def _held(costs: Float64[np.ndarray, "K height width"], fixed: NDArray[np.int32]) -> Float64[np.ndarray, "K h w"]:
    """Return the costs with what is known for sure: any other class is out of the question."""
    labels = np.arange(len(costs))[:, None, None]
    return np.asarray(np.where((fixed > 0) & (fixed - 1 != labels), np.inf, costs))


def _first_labels(fixed: NDArray[np.int32], hints: Hints) -> Int32[np.ndarray, "height width"]:
    if hints.costs is not None:
        return np.asarray(hints.costs.argmin(axis=0), dtype=np.int32)
    # What is not known for sure is foreground until a cut says otherwise.
    return np.where(fixed > 0, fixed - 1, 1).astype(np.int32)


def _started(
    pixels: NDArray[np.float64], labels: NDArray[np.int32], num_classes: int, components: int
) -> list[Mixture | None]:
    """Return a mixture for each class from clusters of its colours; None for a class without pixels."""
    return [_refitted(pixels, labels.ravel() == label, None, components) for label in range(num_classes)]


def _own_costs(
    pixels: NDArray[np.float64], labels: NDArray[np.int32], mixtures: list[Mixture | None], components: int
) -> Float64[np.ndarray, "K n"]:
    """Give pixels to components, learn these anew (in place), and return what each class costs each pixel."""
    costs = np.full((len(mixtures), len(pixels)), np.inf)
    for label, mixture in enumerate(mixtures):
        fresh = _refitted(pixels, labels.ravel() == label, mixture, components)
        mixtures[label] = fresh
        if fresh is not None:
            costs[label] = mixture_costs(pixels, fresh, is_hard=True)
    return costs


def _refitted(
    pixels: NDArray[np.float64], chosen: Bool[np.ndarray, " n"], mixture: Mixture | None, components: int
) -> Mixture | None:
    if not chosen.any():
        return None
    own = pixels[chosen]
    component = started_components(own, components, seed=_SEED) if mixture is None else nearest_components(own, mixture)
    return hard_mixture(own, component, components, floor=VARIANCE_FLOOR)
