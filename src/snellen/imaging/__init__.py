"""Classical image operations: gradients, windows, regions."""

from snellen.imaging.dense_crf import DenseCrfSettings, dense_crf
from snellen.imaging.hog import HogSpec, hog, hog_blocks, hog_cells, hog_votes
from snellen.imaging.permutohedral import PermutohedralLattice
from snellen.imaging.selective_search import (
    SEARCH_STRATEGIES,
    SearchStrategy,
    region_hierarchies,
    selective_search,
)
from snellen.imaging.windows import (
    WindowCount,
    continued_edges,
    count_windows,
    lies_within,
    pyramid_scales,
    rescaled,
    score_windows,
    sliding_boxes,
)

__all__ = [
    "SEARCH_STRATEGIES",
    "DenseCrfSettings",
    "HogSpec",
    "PermutohedralLattice",
    "SearchStrategy",
    "WindowCount",
    "continued_edges",
    "count_windows",
    "dense_crf",
    "hog",
    "hog_blocks",
    "hog_cells",
    "hog_votes",
    "lies_within",
    "pyramid_scales",
    "region_hierarchies",
    "rescaled",
    "score_windows",
    "selective_search",
    "sliding_boxes",
]
