"""Selective search: boxes of every region that grouping similar neighbours from small to large brings forth."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

from snellen.errors import ConfigError, InputError, ShapeError, did_you_mean
from snellen.imaging.colour_spaces import COLOUR_SPACES
from snellen.imaging.graph_segmentation import graph_regions
from snellen.imaging.grouping import Hierarchy, Similarity, group_regions
from snellen.imaging.region_features import region_features, texture_codes

__all__ = ["SEARCH_STRATEGIES", "SearchStrategy", "region_hierarchies", "selective_search"]

MIN_SIDE_PX = 20.0  # the authors' published demo, and Girshick's R-CNN, drop boxes with a smaller side
SMOOTHING_SIGMA_PX = 0.8  # Uijlings et al. 2013, section 3.1, as in Felzenszwalb and Huttenlocher 2004

_ALL = Similarity(colour=True, texture=True, size=True, fill=True)
_NO_COLOUR = Similarity(texture=True, size=True, fill=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStrategy:
    """Which hierarchies are pooled: one for each colour space, threshold and similarity.

    Attributes:
        colours: Rows of `COLOUR_SPACES`.
        thresholds: k of the initial segmentation; also the fewest pixels of an initial region.
        similarities: What merges regions.
    """

    colours: tuple[str, ...]
    thresholds: tuple[int, ...]
    similarities: tuple[Similarity, ...]


SEARCH_STRATEGIES: Mapping[str, SearchStrategy] = MappingProxyType(
    {
        "single": SearchStrategy(colours=("hsv",), thresholds=(100,), similarities=(_ALL,)),
        "fast": SearchStrategy(colours=("hsv", "lab"), thresholds=(50, 100), similarities=(_ALL, _NO_COLOUR)),
        "quality": SearchStrategy(
            colours=("hsv", "lab", "rgi", "hue", "intensity"),
            thresholds=(50, 100, 150, 300),
            similarities=(_ALL, _NO_COLOUR, Similarity(fill=True), Similarity(size=True)),
        ),
    }
)


def selective_search(
    image: UInt8[np.ndarray, "height width 3"],
    *,
    strategy: str = "fast",
    seed: int = 0,
    min_side_px: float = MIN_SIDE_PX,
    max_proposals: int | None = None,
) -> Float32[np.ndarray, "num_proposals 4"]:
    """Propose boxes that may hold an object, whatever its class.

    Args:
        image: RGB. The thresholds are meant for about 500 pixels of width.
        strategy: A row of `SEARCH_STRATEGIES`: ``single``, ``fast`` or ``quality``.
        seed: Of the random part of the ranking; the boxes themselves do not depend on it.
        min_side_px: Boxes with a smaller side are dropped; the whole image stays.
        max_proposals: Most boxes to return; None for all.

    Returns:
        xyxy in pixels, no two alike, the most promising first.

    Raises:
        ConfigError: If there is no such strategy.
        InputError: If a limit is out of range.
        ShapeError: If the image is not uint8 ``[height, width, 3]`` with at least one pixel.

    Source:
        Uijlings et al. 2013, "Selective search for object recognition", IJCV 104, sections 3 and 4 and table 4.
        Differs: see `region_features`; regions touch at corners too.
    """
    if max_proposals is not None and max_proposals < 1:
        raise InputError(f"max_proposals must be at least 1, or None for all, but is {max_proposals}.")
    if not min_side_px >= 0:
        raise InputError(f"min_side_px must be 0 or more pixels, but is {min_side_px}.")
    boxes = _ranked(region_hierarchies(image, strategy=strategy), np.random.default_rng(seed))
    sides = boxes[:, 2:] - boxes[:, :2]
    large = (sides >= min_side_px).all(axis=1) | (sides == (image.shape[1], image.shape[0])).all(axis=1)
    return np.asarray(boxes[large][:max_proposals], dtype=np.float32)


def region_hierarchies(image: UInt8[np.ndarray, "height width 3"], *, strategy: str = "fast") -> list[Hierarchy]:
    """Return the hierarchies that `selective_search` pools.

    Args:
        image: RGB.
        strategy: A row of `SEARCH_STRATEGIES`.

    Raises:
        ConfigError: If there is no such strategy.
        ShapeError: If the image is not uint8 ``[height, width, 3]`` with at least one pixel.
    """
    if strategy not in SEARCH_STRATEGIES:
        hint = did_you_mean(strategy, SEARCH_STRATEGIES)
        raise ConfigError(f"selective search has no strategy {strategy!r}.{hint}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ShapeError(
            f"selective search expects an RGB image, uint8 [height, width, 3], but got {image.dtype} "
            f"{list(image.shape)}; convert it first."
        )
    plan = SEARCH_STRATEGIES[strategy]
    tasks = []
    for colour in plan.colours:
        channels = COLOUR_SPACES[colour](image)
        codes = texture_codes(channels)
        for labels in graph_regions(channels, plan.thresholds, sigma_px=SMOOTHING_SIGMA_PX):
            features = region_features(labels, channels, codes)
            tasks += [(features, similarity) for similarity in plan.similarities]
    return group_regions(tasks)


def _ranked(hierarchies: list[Hierarchy], generator: np.random.Generator) -> NDArray[np.int64]:
    """Pool the boxes: by position from the top of the hierarchy times a random number, the best of equal boxes."""
    boxes = np.concatenate([hierarchy.boxes for hierarchy in hierarchies])
    positions = np.concatenate([np.arange(len(hierarchy.boxes), 0, -1) for hierarchy in hierarchies])
    ranked = boxes[np.argsort(positions * generator.random(len(positions)), kind="stable")]
    first = np.unique(ranked, axis=0, return_index=True)[1]
    return ranked[np.sort(first)]
