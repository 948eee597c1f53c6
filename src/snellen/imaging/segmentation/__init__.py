"""Classical ways of cutting an image into regions: functions on arrays, each of which works alone."""

from snellen.imaging.segmentation.active_contours import chan_vese_sides, ellipse_in, snake, snake_mask
from snellen.imaging.segmentation.channels import CHANNELS, Channel, channel_of, smoothed, smoothed_lab
from snellen.imaging.segmentation.colour_clusters import kmeans_regions, mean_shift_clusters, mean_shift_regions
from snellen.imaging.segmentation.edges import (
    LaplaceOperator,
    canny_edges,
    closed_regions,
    gradient_edges,
    gradient_strength,
    laplace_edges,
)
from snellen.imaging.segmentation.flooding import basin_markers, colour_gradient, watershed_regions
from snellen.imaging.segmentation.graph_cuts import grab_cut, graph_cut
from snellen.imaging.segmentation.hints import NOTHING_TOLD, Hints, box_mask
from snellen.imaging.segmentation.min_cut import (
    GridEdges,
    contrast_edges,
    expanded_labels,
    labelling_energy,
    minimum_cut,
    two_labels,
)
from snellen.imaging.segmentation.mixtures import Mixture, fitted_mixture, mixture_costs
from snellen.imaging.segmentation.normalized_cut import (
    cut_value,
    normalized_cut,
    normalized_cut_regions,
    region_affinity,
    two_way_cut,
)
from snellen.imaging.segmentation.partition import (
    Partition,
    adjacent_pairs,
    inner_regions,
    partition_of,
    region_means,
    region_sizes,
)
from snellen.imaging.segmentation.region_growing import seeded_region_growing
from snellen.imaging.segmentation.split_merge import merged_regions, quadtree_regions, split_and_merge
from snellen.imaging.segmentation.superpixels import felzenszwalb_regions, slic_regions
from snellen.imaging.segmentation.thresholds import (
    AdaptiveRule,
    adaptive_mask,
    minimum_error_criterion,
    minimum_error_threshold,
    multi_otsu_thresholds,
    otsu_threshold,
    sides_by_levels,
    triangle_threshold,
)

__all__ = [
    "CHANNELS",
    "NOTHING_TOLD",
    "AdaptiveRule",
    "Channel",
    "GridEdges",
    "Hints",
    "LaplaceOperator",
    "Mixture",
    "Partition",
    "adaptive_mask",
    "adjacent_pairs",
    "basin_markers",
    "box_mask",
    "canny_edges",
    "chan_vese_sides",
    "channel_of",
    "closed_regions",
    "colour_gradient",
    "contrast_edges",
    "cut_value",
    "ellipse_in",
    "expanded_labels",
    "felzenszwalb_regions",
    "fitted_mixture",
    "grab_cut",
    "gradient_edges",
    "gradient_strength",
    "graph_cut",
    "inner_regions",
    "kmeans_regions",
    "labelling_energy",
    "laplace_edges",
    "mean_shift_clusters",
    "mean_shift_regions",
    "merged_regions",
    "minimum_cut",
    "minimum_error_criterion",
    "minimum_error_threshold",
    "mixture_costs",
    "multi_otsu_thresholds",
    "normalized_cut",
    "normalized_cut_regions",
    "otsu_threshold",
    "partition_of",
    "quadtree_regions",
    "region_affinity",
    "region_means",
    "region_sizes",
    "seeded_region_growing",
    "sides_by_levels",
    "slic_regions",
    "smoothed",
    "smoothed_lab",
    "snake",
    "snake_mask",
    "split_and_merge",
    "triangle_threshold",
    "two_labels",
    "two_way_cut",
    "watershed_regions",
]
