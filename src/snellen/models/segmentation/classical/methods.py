"""The table of classical segmenters: how each cuts, what it can be told, what a fit tries.

Shapes: K classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Protocol

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

from snellen.errors import ConfigError, did_you_mean
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
    minimum_error_threshold,
    multi_otsu_thresholds,
    normalized_cut_regions,
    otsu_threshold,
    partition_of,
    seeded_region_growing,
    sides_by_levels,
    slic_regions,
    smoothed_lab,
    snake,
    snake_mask,
    split_and_merge,
    triangle_threshold,
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

__all__ = ["METHODS", "Method", "find_method"]

RgbImage = UInt8[np.ndarray, "height width 3"]


class Cut(Protocol):
    """How a method cuts an image."""

    def __call__(self, image: RgbImage, settings: Any, hints: Hints) -> Partition:
        """Return the regions of an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A classical segmenter.

    Attributes:
        name: Of the model.
        summary: One line.
        paper: Address.
        page: Name of the page about its family.
        settings: Its record of settings.
        cut: What it does.
        takes: What it can be told of an image: ``box``, ``seeds``.
        is_guided: Whether, once it is told something (by a user or by a fit), its sides are the classes.
        only_two: Whether it knows an inside and an outside and no more.
        choices: Settings that a fit compares, those that are not named as they are.
        most_pixels: Larger images are reduced to so many before they are cut, for its time or its memory.
    """

    name: str
    summary: str
    paper: str
    page: str
    settings: Callable[[], Any]
    cut: Cut
    takes: tuple[str, ...] = ()
    is_guided: bool = False
    only_two: bool = False
    choices: tuple[Mapping[str, Any], ...] = ({},)
    most_pixels: int = 2**22


def find_method(name: str) -> Method:
    """Return the row of a classical segmenter.

    Raises:
        ConfigError: If there is none of that name.
    """
    rows = {method.name: method for method in METHODS}
    if name not in rows:
        raise ConfigError(f"there is no classical segmenter {name!r}.{did_you_mean(name, rows)}")
    return rows[name]


def _grid(**values: tuple[Any, ...]) -> tuple[Mapping[str, Any], ...]:
    """Return every combination of values by name."""
    return tuple(dict(zip(values, chosen, strict=True)) for chosen in product(*values.values()))


def _one_level(
    level: Callable[[NDArray[np.uint8]], float], image: RgbImage, settings: ThresholdSettings, hints: Hints
) -> Partition:
    del hints
    channel = channel_of(image, settings.channel, sigma_px=settings.sigma_px)
    return partition_of(sides_by_levels(channel, (level(channel),)), is_sides=True)


def _multi_otsu(image: RgbImage, settings: MultiOtsuSettings, hints: Hints) -> Partition:
    del hints
    channel = channel_of(image, settings.channel, sigma_px=settings.sigma_px)
    return partition_of(sides_by_levels(channel, multi_otsu_thresholds(channel, settings.parts)), is_sides=True)


def _adaptive(image: RgbImage, settings: AdaptiveSettings, hints: Hints) -> Partition:
    del hints
    channel = channel_of(image, settings.channel, sigma_px=settings.sigma_px)
    window = max(3, round(settings.window_share * min(channel.shape)))
    mask = adaptive_mask(channel, rule=settings.rule, window_px=window, offset=settings.offset)
    return partition_of(mask.astype(np.int32), is_sides=True)


def _gradient(operator: EdgeOperator, image: RgbImage, settings: EdgeSettings, hints: Hints) -> Partition:
    del hints
    channel = channel_of(image, settings.channel)
    strength = gradient_strength(channel, operator, sigma_px=settings.sigma_px)
    return _closed(gradient_edges(strength, least_share=settings.least_share), strength, settings)


def _laplace(operator: LaplaceOperator, image: RgbImage, settings: EdgeSettings, hints: Hints) -> Partition:
    del hints
    channel = channel_of(image, settings.channel)
    edges = laplace_edges(channel, operator, sigma_px=settings.sigma_px, least_share=settings.least_share)
    return _closed(edges, gradient_strength(channel, "sobel", sigma_px=settings.sigma_px), settings)


def _canny(image: RgbImage, settings: CannySettings, hints: Hints) -> Partition:
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


def _watershed(image: RgbImage, settings: WatershedSettings, hints: Hints) -> Partition:
    landscape = colour_gradient(image, settings.sigma_px)
    if hints.seeds is None:
        markers = basin_markers(landscape, depth=settings.depth)
        return partition_of(watershed_regions(landscape, markers, compactness=settings.compactness))
    flooded = watershed_regions(landscape, hints.seeds, compactness=settings.compactness)
    return partition_of(flooded - 1, is_sides=True)


def _growing(image: RgbImage, settings: GrowingSettings, hints: Hints) -> Partition:
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


def _split_merge(image: RgbImage, settings: SplitMergeSettings, hints: Hints) -> Partition:
    del hints
    labels = split_and_merge(
        smoothed_lab(image, settings.sigma_px),
        most_deviation=settings.deviation,
        merge_deviation=settings.merge_deviation,
        least_side_px=settings.least_side_px,
        least_px=max(1, round(settings.least_area * image.shape[0] * image.shape[1])),
    )
    return partition_of(labels)


def _kmeans(image: RgbImage, settings: KmeansSettings, hints: Hints) -> Partition:
    del hints
    return partition_of(
        kmeans_regions(image, settings.clusters, sigma_px=settings.sigma_px, place_weight=settings.place_weight)
    )


def _mean_shift(image: RgbImage, settings: MeanShiftSettings, hints: Hints) -> Partition:
    del hints
    return partition_of(mean_shift_regions(image, settings.bandwidth, sigma_px=settings.sigma_px))


def _slic(image: RgbImage, settings: SlicSettings, hints: Hints) -> Partition:
    del hints
    return partition_of(
        slic_regions(image, settings.number, compactness=settings.compactness, sigma_px=settings.sigma_px)
    )


def _felzenszwalb(image: RgbImage, settings: FelzenszwalbSettings, hints: Hints) -> Partition:
    del hints
    return partition_of(felzenszwalb_regions(image, settings.scale, sigma_px=settings.sigma_px))


def _normalized_cut(image: RgbImage, settings: NormalizedCutSettings, hints: Hints) -> Partition:
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


def _graph_cut(image: RgbImage, settings: GraphCutSettings, hints: Hints) -> Partition:
    labels = graph_cut(
        image,
        hints,
        smoothness=settings.smoothness,
        components=settings.components,
        margin=settings.margin,
    )
    return partition_of(labels, is_sides=True)


def _grab_cut(image: RgbImage, settings: GrabCutSettings, hints: Hints) -> Partition:
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


def _chan_vese(image: RgbImage, settings: ChanVeseSettings, hints: Hints) -> Partition:
    del hints
    sides = chan_vese_sides(
        channel_of(image, settings.channel),
        smoothness=settings.smoothness,
        iterations=settings.iterations,
        sigma_px=settings.sigma_px,
    )
    return partition_of(sides, is_sides=True)


def _snake(image: RgbImage, settings: SnakeSettings, hints: Hints) -> Partition:
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


_LEVEL_CHOICES = _grid(channel=("grey", "saturation", "green_red", "blue_yellow"), sigma_px=(1.0, 3.0))
_EDGE_CHOICES = _grid(sigma_px=(1.0, 2.0), least_share=(0.08, 0.15, 0.3))
_MARKER_CHOICES = _grid(sigma_px=(1.0, 2.0))
_BOX_AND_SEEDS = ("box", "seeds")
_SLOW = 2**18  # pixels; a cut of more takes more than some seconds


def _gradient_method(operator: EdgeOperator, named: str, paper: str) -> Method:
    return Method(
        name=operator,
        summary=f"regions closed from the edges of {named}",
        paper=paper,
        page="edges",
        settings=EdgeSettings,
        cut=partial(_gradient, operator),
        choices=_EDGE_CHOICES,
    )


def _laplace_method(operator: LaplaceOperator, named: str) -> Method:
    return Method(
        name=operator,
        summary=f"regions closed from zero crossings of {named}",
        paper="https://doi.org/10.1098/rspb.1980.0020",
        page="edges",
        settings=EdgeSettings,
        cut=partial(_laplace, operator),
        choices=_EDGE_CHOICES,
    )


METHODS: tuple[Method, ...] = (
    Method(
        name="otsu",
        summary="Otsu's threshold: two sides of the greatest variance between them",
        paper="https://doi.org/10.1109/TSMC.1979.4310076",
        page="thresholds",
        settings=ThresholdSettings,
        cut=partial(_one_level, otsu_threshold),
        choices=_LEVEL_CHOICES,
    ),
    Method(
        name="multi_otsu",
        summary="Otsu's thresholds between several sides",
        paper="https://doi.org/10.6688/JISE.2001.17.5.1",
        page="thresholds",
        settings=MultiOtsuSettings,
        cut=_multi_otsu,
        choices=_grid(channel=("grey", "saturation", "green_red", "blue_yellow"), parts=(3, 4)),
    ),
    Method(
        name="minimum_error",
        summary="Kittler's and Illingworth's threshold: least error of two Gaussians of their own width",
        paper="https://doi.org/10.1016/0031-3203(86)90030-0",
        page="thresholds",
        settings=ThresholdSettings,
        cut=partial(_one_level, minimum_error_threshold),
        choices=_LEVEL_CHOICES,
    ),
    Method(
        name="triangle",
        summary="threshold at the foot of the histogram's peak: for small things on a wide ground",
        paper="https://doi.org/10.1177/25.7.70454",
        page="thresholds",
        settings=ThresholdSettings,
        cut=partial(_one_level, triangle_threshold),
        choices=_LEVEL_CHOICES,
    ),
    Method(
        name="adaptive_threshold",
        summary="a threshold for each place, from what surrounds it: for uneven light",
        paper="https://doi.org/10.1016/S0031-3203(99)00055-2",
        page="thresholds",
        settings=AdaptiveSettings,
        cut=_adaptive,
        choices=_grid(rule=("mean", "sauvola"), window_share=(0.05, 0.15, 0.4), offset=(0.0, 5.0)),
    ),
    _gradient_method("roberts", "Roberts's cross", "https://dspace.mit.edu/handle/1721.1/11589"),
    _gradient_method("prewitt", "Prewitt's masks", "https://en.wikipedia.org/wiki/Prewitt_operator"),
    _gradient_method("sobel", "Sobel's masks", "https://www.researchgate.net/publication/239398674"),
    _gradient_method(
        "scharr", "Scharr's masks, which know directions best", "https://doi.org/10.11588/heidok.00000962"
    ),
    _laplace_method("laplacian", "the Laplacian"),
    _laplace_method("log", "the Laplacian of a Gaussian"),
    Method(
        name="canny",
        summary="regions closed from Canny's edges: thin, and weak ones where they hang on strong ones",
        paper="https://doi.org/10.1109/TPAMI.1986.4767851",
        page="edges",
        settings=CannySettings,
        cut=_canny,
        choices=_grid(sigma_px=(1.0, 2.0), high_share=(0.8, 0.9), gap_px=(4, 8)),
    ),
    Method(
        name="region_growing",
        summary="regions that grow from seeds over the most similar pixels",
        paper="https://doi.org/10.1109/34.295913",
        page="regions",
        settings=GrowingSettings,
        cut=_growing,
        takes=("seeds",),
        is_guided=True,
        choices=_MARKER_CHOICES,
        most_pixels=_SLOW,
    ),
    Method(
        name="split_merge",
        summary="a quadtree cut until every square is even, then even neighbours joined",
        paper="https://doi.org/10.1145/321941.321956",
        page="regions",
        settings=SplitMergeSettings,
        cut=_split_merge,
        choices=_grid(merge_deviation=(10.0, 15.0, 25.0)),
        most_pixels=_SLOW,
    ),
    Method(
        name="watershed",
        summary="the gradient flooded from markers: seeds, or its deepest basins",
        paper="https://doi.org/10.1016/1047-3203(90)90014-M",
        page="regions",
        settings=WatershedSettings,
        cut=_watershed,
        takes=("seeds",),
        is_guided=True,
        choices=_MARKER_CHOICES,
    ),
    Method(
        name="kmeans",
        summary="clusters of colours by k-means",
        paper="https://doi.org/10.1109/TIT.1982.1056489",
        page="clusters",
        settings=KmeansSettings,
        cut=_kmeans,
        choices=_grid(clusters=(3, 5, 8), place_weight=(0.0, 100.0)),
    ),
    Method(
        name="mean_shift",
        summary="modes of the density of colours: as many clusters as there are",
        paper="https://doi.org/10.1109/34.1000236",
        page="clusters",
        settings=MeanShiftSettings,
        cut=_mean_shift,
        choices=_grid(bandwidth=(16.0, 24.0, 36.0)),
    ),
    Method(
        name="slic",
        summary="SLIC superpixels of about equal size",
        paper="https://doi.org/10.1109/TPAMI.2012.120",
        page="clusters",
        settings=SlicSettings,
        cut=_slic,
        choices=_grid(number=(200, 600), compactness=(5.0, 20.0)),
    ),
    Method(
        name="felzenszwalb",
        summary="regions that differ more across their borders than within (Felzenszwalb and Huttenlocher)",
        paper="https://doi.org/10.1023/B:VISI.0000022288.19776.77",
        page="graph_cuts",
        settings=FelzenszwalbSettings,
        cut=_felzenszwalb,
        choices=_grid(scale=(50, 100, 200, 400)),
    ),
    Method(
        name="normalized_cut",
        summary="normalised cuts of the graph of superpixels",
        paper="https://doi.org/10.1109/34.868688",
        page="graph_cuts",
        settings=NormalizedCutSettings,
        cut=_normalized_cut,
        choices=_grid(most_cut=(0.1, 0.2, 0.4), colour_sigma=(15.0, 30.0)),
    ),
    Method(
        name="graph_cut",
        summary="minimum cut between colours that are told by marks, a box or a fit (Boykov and Jolly)",
        paper="https://doi.org/10.1109/ICCV.2001.937505",
        page="graph_cuts",
        settings=GraphCutSettings,
        cut=_graph_cut,
        takes=_BOX_AND_SEEDS,
        is_guided=True,
        choices=_grid(smoothness=(0.5, 2.0, 8.0)),
        most_pixels=_SLOW,
    ),
    Method(
        name="grabcut",
        summary="cuts and colours by turns, from a box alone (Rother, Kolmogorov and Blake)",
        paper="https://doi.org/10.1145/1015706.1015720",
        page="graph_cuts",
        settings=GrabCutSettings,
        cut=_grab_cut,
        takes=_BOX_AND_SEEDS,
        is_guided=True,
        choices=_grid(smoothness=(2.0, 8.0), prior_weight=(0.5, 0.8)),
        most_pixels=_SLOW,
    ),
    Method(
        name="chan_vese",
        summary="a contour without edges: two even sides with a short border (Chan and Vese)",
        paper="https://doi.org/10.1109/83.902291",
        page="active_contours",
        settings=ChanVeseSettings,
        cut=_chan_vese,
        choices=_grid(channel=("grey", "saturation", "green_red", "blue_yellow")),
        most_pixels=_SLOW,
    ),
    Method(
        name="snake",
        summary="a closed contour drawn to the edges nearby (Kass, Witkin and Terzopoulos)",
        paper="https://doi.org/10.1007/BF00133570",
        page="active_contours",
        settings=SnakeSettings,
        cut=_snake,
        takes=("box",),
        is_guided=True,
        only_two=True,
        choices=_grid(sigma_px=(2.0, 4.0), elasticity=(0.005, 0.02)),
    ),
)
