"""How each classical segmenter cuts: from an image, its settings and what is told of it to regions."""

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

from snellen.imaging.edges import EdgeOperator
from snellen.imaging.segmentation import (
    Hints,
    LaplaceOperator,
    Partition,
    adaptive_mask,
    basin_markers,
    box_mask,
    canny_edges,
    chan_vese_sides,
    channel_of,
    closed_regions,
    colour_gradient,
    ellipse_in,
    felzenszwalb_regions,
    grab_cut,
    gradient_edges,
    gradient_strength,
    graph_cut,
    kmeans_regions,
    laplace_edges,
    mean_shift_regions,
    multi_otsu_thresholds,
    normalized_cut_regions,
    partition_of,
    seeded_region_growing,
    sides_by_levels,
    slic_regions,
    smoothed_lab,
    snake,
    snake_mask,
    split_and_merge,
    watershed_regions,
)
from snellen.models.segmentation.classical.settings import (
    AdaptiveSettings,
    CannySettings,
    ChanVeseSettings,
    EdgeSettings,
    FelzenszwalbSettings,
    GrabCutSettings,
    GraphCutSettings,
    GrowingSettings,
    KmeansSettings,
    MeanShiftSettings,
    MultiOtsuSettings,
    NormalizedCutSettings,
    SlicSettings,
    SnakeSettings,
    SplitMergeSettings,
    ThresholdSettings,
    WatershedSettings,
)

__all__ = [
    "by_canny",
    "by_chan_vese",
    "by_felzenszwalb",
    "by_flood",
    "by_grab_cut",
    "by_gradient",
    "by_graph_cut",
    "by_growth",
    "by_kmeans",
    "by_laplace",
    "by_level",
    "by_levels",
    "by_mean_shift",
    "by_normalized_cut",
    "by_place",
    "by_slic",
    "by_snake",
    "by_splits",
]

RgbImage = UInt8[np.ndarray, "height width 3"]


def by_level(
    level: Callable[[NDArray[np.uint8]], float], image: RgbImage, settings: ThresholdSettings, hints: Hints
) -> Partition:
    """Return the sides below and above one level of a channel."""
    del hints
    channel = channel_of(image, settings.channel, sigma_px=settings.sigma_px)
    return partition_of(sides_by_levels(channel, (level(channel),)), is_sides=True)


def by_levels(image: RgbImage, settings: MultiOtsuSettings, hints: Hints) -> Partition:
    """Return the sides between Otsu's levels of a channel."""
    del hints
    channel = channel_of(image, settings.channel, sigma_px=settings.sigma_px)
    return partition_of(sides_by_levels(channel, multi_otsu_thresholds(channel, settings.parts)), is_sides=True)


def by_place(image: RgbImage, settings: AdaptiveSettings, hints: Hints) -> Partition:
    """Return what is darker and what is brighter than its surroundings."""
    del hints
    channel = channel_of(image, settings.channel, sigma_px=settings.sigma_px)
    window = max(3, round(settings.window_share * min(channel.shape)))
    mask = adaptive_mask(channel, rule=settings.rule, window_px=window, offset=settings.offset)
    return partition_of(mask.astype(np.int32), is_sides=True)


def by_gradient(operator: EdgeOperator, image: RgbImage, settings: EdgeSettings, hints: Hints) -> Partition:
    """Return regions closed from ridges of the gradient."""
    del hints
    channel = channel_of(image, settings.channel)
    strength = gradient_strength(channel, operator, sigma_px=settings.sigma_px)
    return _closed(gradient_edges(strength, least_share=settings.least_share), strength, settings)


def by_laplace(operator: LaplaceOperator, image: RgbImage, settings: EdgeSettings, hints: Hints) -> Partition:
    """Return regions closed from zero crossings of the second derivative."""
    del hints
    channel = channel_of(image, settings.channel)
    edges = laplace_edges(channel, operator, sigma_px=settings.sigma_px, least_share=settings.least_share)
    return _closed(edges, gradient_strength(channel, "sobel", sigma_px=settings.sigma_px), settings)


def by_canny(image: RgbImage, settings: CannySettings, hints: Hints) -> Partition:
    """Return regions closed from Canny's edges."""
    del hints
    channel = channel_of(image, settings.channel)
    edges = canny_edges(
        channel, sigma_px=settings.sigma_px, low_share=settings.low_share, high_share=settings.high_share
    )
    return _closed(edges, gradient_strength(channel, "sobel", sigma_px=settings.sigma_px), settings)


def _closed(
    edges: NDArray[np.bool_], strength: NDArray[np.float32], settings: EdgeSettings | CannySettings
) -> Partition:
    least = max(1, round(settings.least_area * edges.size))
    return partition_of(closed_regions(edges, strength, gap_px=settings.gap_px, least_px=least))


def by_flood(image: RgbImage, settings: WatershedSettings, hints: Hints) -> Partition:
    """Return the basins of the gradient, or what is flooded from each class's marks."""
    landscape = colour_gradient(image, settings.sigma_px)
    if hints.seeds is None:
        markers = basin_markers(landscape, depth=settings.depth)
        return partition_of(watershed_regions(landscape, markers, compactness=settings.compactness))
    flooded = watershed_regions(landscape, hints.seeds, compactness=settings.compactness)
    return partition_of(flooded - 1, is_sides=True)


def by_growth(image: RgbImage, settings: GrowingSettings, hints: Hints) -> Partition:
    """Return what grows from the basins of the gradient, or from each class's marks."""
    pixels = smoothed_lab(image, settings.sigma_px)
    if hints.seeds is not None:
        strokes, classes = _strokes(hints.seeds)
        return partition_of(classes[seeded_region_growing(pixels, strokes)], is_sides=True)
    markers = basin_markers(colour_gradient(image, settings.sigma_px), depth=settings.depth)
    return partition_of(seeded_region_growing(pixels, markers if markers.any() else np.ones_like(markers)))


def _strokes(seeds: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return marks numbered by what touches, and the class of each number.

    One class may look different in several places, and then no mean of all its marks looks like any of them.
    """
    strokes, classes = np.zeros_like(seeds), [0]
    for mark in np.unique(seeds[seeds > 0]):
        parts, number = label(seeds == mark, structure=np.ones((3, 3)))
        strokes[parts > 0] = parts[parts > 0] + len(classes) - 1
        classes += [int(mark) - 1] * number
    return strokes, np.array(classes, dtype=np.int32)


def by_splits(image: RgbImage, settings: SplitMergeSettings, hints: Hints) -> Partition:
    """Return even regions, split and merged."""
    del hints
    labels = split_and_merge(
        smoothed_lab(image, settings.sigma_px),
        most_deviation=settings.deviation,
        merge_deviation=settings.merge_deviation,
        least_side_px=settings.least_side_px,
        least_px=max(1, round(settings.least_area * image.shape[0] * image.shape[1])),
    )
    return partition_of(labels)


def by_kmeans(image: RgbImage, settings: KmeansSettings, hints: Hints) -> Partition:
    """Return clusters of colours."""
    del hints
    return partition_of(
        kmeans_regions(image, settings.clusters, sigma_px=settings.sigma_px, place_weight=settings.place_weight)
    )


def by_mean_shift(image: RgbImage, settings: MeanShiftSettings, hints: Hints) -> Partition:
    """Return the modes of the density of colours."""
    del hints
    return partition_of(mean_shift_regions(image, settings.bandwidth, sigma_px=settings.sigma_px))


def by_slic(image: RgbImage, settings: SlicSettings, hints: Hints) -> Partition:
    """Return superpixels."""
    del hints
    return partition_of(
        slic_regions(image, settings.number, compactness=settings.compactness, sigma_px=settings.sigma_px)
    )


def by_felzenszwalb(image: RgbImage, settings: FelzenszwalbSettings, hints: Hints) -> Partition:
    """Return regions of Felzenszwalb's and Huttenlocher's graph."""
    del hints
    return partition_of(felzenszwalb_regions(image, settings.scale, sigma_px=settings.sigma_px))


def by_normalized_cut(image: RgbImage, settings: NormalizedCutSettings, hints: Hints) -> Partition:
    """Return normalised cuts of superpixels."""
    del hints
    labels = normalized_cut_regions(
        image,
        superpixels=settings.superpixels,
        most_cut=settings.most_cut,
        most_parts=settings.most_parts,
        colour_sigma=settings.colour_sigma,
        place_share=settings.place_share,
    )
    return partition_of(labels)


def by_graph_cut(image: RgbImage, settings: GraphCutSettings, hints: Hints) -> Partition:
    """Return the classes of a minimum cut."""
    labels = graph_cut(
        image,
        hints,
        smoothness=settings.smoothness,
        components=settings.components,
        margin=settings.margin,
    )
    return partition_of(labels, is_sides=True)


def by_grab_cut(image: RgbImage, settings: GrabCutSettings, hints: Hints) -> Partition:
    """Return the classes on which cuts and colours agree."""
    labels = grab_cut(
        image,
        hints,
        smoothness=settings.smoothness,
        components=settings.components,
        iterations=settings.iterations,
        prior_weight=settings.prior_weight,
        margin=settings.margin,
    )
    return partition_of(labels, is_sides=True)


def by_chan_vese(image: RgbImage, settings: ChanVeseSettings, hints: Hints) -> Partition:
    """Return the darker and the brighter side of a short border."""
    del hints
    sides = chan_vese_sides(
        channel_of(image, settings.channel),
        smoothness=settings.smoothness,
        iterations=settings.iterations,
        sigma_px=settings.sigma_px,
    )
    return partition_of(sides, is_sides=True)


def by_snake(image: RgbImage, settings: SnakeSettings, hints: Hints) -> Partition:
    """Return the outside and the inside of a contour."""
    size = (image.shape[0], image.shape[1])
    contour = snake(
        channel_of(image, settings.channel),
        ellipse_in(_start_box(hints, size, settings.margin)),
        elasticity=settings.elasticity,
        rigidity=settings.rigidity,
        sigma_px=settings.sigma_px,
        iterations=settings.iterations,
    )
    return partition_of(snake_mask(contour, size).astype(np.int32), is_sides=True)


def _start_box(hints: Hints, size: tuple[int, int], margin: float) -> tuple[float, float, float, float]:
    """Return where a contour begins: the box that is told, or around the largest likely foreground, or a margin."""
    height, width = size
    if hints.costs is not None and hints.box is None:
        parts, number = label(hints.costs.argmin(axis=0) == 1)
        if number:
            largest = int(np.bincount(parts.ravel())[1:].argmax())
            rows, columns = find_objects(parts)[largest]
            return float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)
    inside = box_mask(hints.box, size, margin=margin)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return float(columns[0]), float(rows[0]), float(min(columns[-1] + 1, width)), float(min(rows[-1] + 1, height))
