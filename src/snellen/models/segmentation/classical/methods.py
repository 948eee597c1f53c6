"""The table of classical segmenters: how each cuts, what it can be told, what a fit tries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Protocol

import numpy as np
from jaxtyping import UInt8

from snellen.errors import ConfigError, did_you_mean
from snellen.imaging.edges import EdgeOperator
from snellen.imaging.segmentation import (
    Hints,
    LaplaceOperator,
    Partition,
    minimum_error_threshold,
    otsu_threshold,
    triangle_threshold,
)
from snellen.models.segmentation.classical import cuts
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
        cut=partial(cuts.by_gradient, operator),
        choices=_EDGE_CHOICES,
    )


def _laplace_method(operator: LaplaceOperator, named: str) -> Method:
    return Method(
        name=operator,
        summary=f"regions closed from zero crossings of {named}",
        paper="https://doi.org/10.1098/rspb.1980.0020",
        page="edges",
        settings=EdgeSettings,
        cut=partial(cuts.by_laplace, operator),
        choices=_EDGE_CHOICES,
    )


METHODS: tuple[Method, ...] = (
    Method(
        name="otsu",
        summary="Otsu's threshold: two sides of the greatest variance between them",
        paper="https://doi.org/10.1109/TSMC.1979.4310076",
        page="thresholds",
        settings=ThresholdSettings,
        cut=partial(cuts.by_level, otsu_threshold),
        choices=_LEVEL_CHOICES,
    ),
    Method(
        name="multi_otsu",
        summary="Otsu's thresholds between several sides",
        paper="https://doi.org/10.6688/JISE.2001.17.5.1",
        page="thresholds",
        settings=MultiOtsuSettings,
        cut=cuts.by_levels,
        choices=_grid(channel=("grey", "saturation", "green_red", "blue_yellow"), parts=(3, 4)),
    ),
    Method(
        name="minimum_error",
        summary="Kittler's and Illingworth's threshold: least error of two Gaussians of their own width",
        paper="https://doi.org/10.1016/0031-3203(86)90030-0",
        page="thresholds",
        settings=ThresholdSettings,
        cut=partial(cuts.by_level, minimum_error_threshold),
        choices=_LEVEL_CHOICES,
    ),
    Method(
        name="triangle",
        summary="threshold at the foot of the histogram's peak: for small things on a wide ground",
        paper="https://doi.org/10.1177/25.7.70454",
        page="thresholds",
        settings=ThresholdSettings,
        cut=partial(cuts.by_level, triangle_threshold),
        choices=_LEVEL_CHOICES,
    ),
    Method(
        name="adaptive_threshold",
        summary="a threshold for each place, from what surrounds it: for uneven light",
        paper="https://doi.org/10.1016/S0031-3203(99)00055-2",
        page="thresholds",
        settings=AdaptiveSettings,
        cut=cuts.by_place,
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
        cut=cuts.by_canny,
        choices=_grid(sigma_px=(1.0, 2.0), high_share=(0.8, 0.9), gap_px=(4, 8)),
    ),
    Method(
        name="region_growing",
        summary="regions that grow from seeds over the most similar pixels",
        paper="https://doi.org/10.1109/34.295913",
        page="regions",
        settings=GrowingSettings,
        cut=cuts.by_growth,
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
        cut=cuts.by_splits,
        choices=_grid(merge_deviation=(10.0, 15.0, 25.0)),
        most_pixels=_SLOW,
    ),
    Method(
        name="watershed",
        summary="the gradient flooded from markers: seeds, or its deepest basins",
        paper="https://doi.org/10.1016/1047-3203(90)90014-M",
        page="regions",
        settings=WatershedSettings,
        cut=cuts.by_flood,
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
        cut=cuts.by_kmeans,
        choices=_grid(clusters=(3, 5, 8), place_weight=(0.0, 100.0)),
    ),
    Method(
        name="mean_shift",
        summary="modes of the density of colours: as many clusters as there are",
        paper="https://doi.org/10.1109/34.1000236",
        page="clusters",
        settings=MeanShiftSettings,
        cut=cuts.by_mean_shift,
        choices=_grid(bandwidth=(16.0, 24.0, 36.0)),
    ),
    Method(
        name="slic",
        summary="SLIC superpixels of about equal size",
        paper="https://doi.org/10.1109/TPAMI.2012.120",
        page="clusters",
        settings=SlicSettings,
        cut=cuts.by_slic,
        choices=_grid(number=(200, 600), compactness=(5.0, 20.0)),
    ),
    Method(
        name="felzenszwalb",
        summary="regions that differ more across their borders than within (Felzenszwalb and Huttenlocher)",
        paper="https://doi.org/10.1023/B:VISI.0000022288.19776.77",
        page="graph_cuts",
        settings=FelzenszwalbSettings,
        cut=cuts.by_felzenszwalb,
        choices=_grid(scale=(50, 100, 200, 400)),
    ),
    Method(
        name="normalized_cut",
        summary="normalised cuts of the graph of superpixels",
        paper="https://doi.org/10.1109/34.868688",
        page="graph_cuts",
        settings=NormalizedCutSettings,
        cut=cuts.by_normalized_cut,
        choices=_grid(most_cut=(0.1, 0.2, 0.4), colour_sigma=(15.0, 30.0)),
    ),
    Method(
        name="graph_cut",
        summary="minimum cut between colours that are told by marks, a box or a fit (Boykov and Jolly)",
        paper="https://doi.org/10.1109/ICCV.2001.937505",
        page="graph_cuts",
        settings=GraphCutSettings,
        cut=cuts.by_graph_cut,
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
        cut=cuts.by_grab_cut,
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
        cut=cuts.by_chan_vese,
        choices=_grid(channel=("grey", "saturation", "green_red", "blue_yellow")),
        most_pixels=_SLOW,
    ),
    Method(
        name="snake",
        summary="a closed contour drawn to the edges nearby (Kass, Witkin and Terzopoulos)",
        paper="https://doi.org/10.1007/BF00133570",
        page="active_contours",
        settings=SnakeSettings,
        cut=cuts.by_snake,
        takes=("box",),
        is_guided=True,
        only_two=True,
        choices=_grid(sigma_px=(2.0, 4.0), elasticity=(0.005, 0.02)),
    ),
)
