"""Pure functions on bare tensors: boxes, coding, anchors, matching, sampling, suppression, region pooling."""

from snellen.ops.anchors import base_anchors, grid_anchors
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
from snellen.ops.matching import Matches, match_by_iou
from snellen.ops.nms import kept_by_nms
from snellen.ops.region_pooling import pyramid_level, pyramid_roi_align, roi_align, roi_pool
from snellen.ops.sampling import Drawn, draw_balanced

__all__ = [
    "Drawn",
    "Matches",
    "base_anchors",
    "box_area",
    "box_centers_sizes",
    "box_iou",
    "boxes_from_centers_sizes",
    "clip_boxes",
    "covered_share",
    "decode_boxes",
    "draw_balanced",
    "encode_boxes",
    "grid_anchors",
    "is_larger_than",
    "kept_by_nms",
    "match_by_iou",
    "pyramid_level",
    "pyramid_roi_align",
    "roi_align",
    "roi_pool",
    "scale_boxes",
]
