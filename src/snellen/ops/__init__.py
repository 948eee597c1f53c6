"""Pure functions on bare tensors: boxes, coding, anchors, matching, sampling, suppression, region pooling."""

from snellen.ops.anchors import base_anchors, grid_anchors
from snellen.ops.borders import border_band
from snellen.ops.box_fusion import fused_boxes
from snellen.ops.boxes import (
    box_area,
    box_centers_sizes,
    box_iou,
    boxes_from_centers_sizes,
    clip_boxes,
    covered_share,
    is_larger_than,
    scale_boxes,
)
from snellen.ops.coding import decode_boxes, encode_boxes
from snellen.ops.constants import constant_on
from snellen.ops.crops import warp_crops
from snellen.ops.matching import Matches, match_by_iou
from snellen.ops.nms import kept_by_nms
from snellen.ops.overlap import ciou, diou, giou, paired_iou
from snellen.ops.precise_pooling import prroi_pool, pyramid_prroi_pool
from snellen.ops.priors import best_possible_recall, default_boxes, kmeans_anchors, mean_best_iou, sides_iou
from snellen.ops.region_pooling import pyramid_level, pyramid_roi_align, roi_align, roi_pool
from snellen.ops.sampling import Drawn, draw_balanced
from snellen.ops.soft_nms import soft_nms
from snellen.ops.spatial_pyramid import spatial_pyramid_pool
from snellen.ops.voting import vote_boxes
from snellen.ops.winograd import num_tiles, winograd_conv, winograd_kernels

__all__ = [
    "Drawn",
    "Matches",
    "base_anchors",
    "best_possible_recall",
    "border_band",
    "box_area",
    "box_centers_sizes",
    "box_iou",
    "boxes_from_centers_sizes",
    "ciou",
    "clip_boxes",
    "constant_on",
    "covered_share",
    "decode_boxes",
    "default_boxes",
    "diou",
    "draw_balanced",
    "encode_boxes",
    "fused_boxes",
    "giou",
    "grid_anchors",
    "is_larger_than",
    "kept_by_nms",
    "kmeans_anchors",
    "match_by_iou",
    "mean_best_iou",
    "num_tiles",
    "paired_iou",
    "prroi_pool",
    "pyramid_level",
    "pyramid_prroi_pool",
    "pyramid_roi_align",
    "roi_align",
    "roi_pool",
    "scale_boxes",
    "sides_iou",
    "soft_nms",
    "spatial_pyramid_pool",
    "vote_boxes",
    "warp_crops",
    "winograd_conv",
    "winograd_kernels",
]
