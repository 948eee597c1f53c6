"""Measures of predictions against truth: function cores over arrays, and accumulators over images."""

from snellen.metrics.acuity import ACUITY_RECALL, Acuity, acuity
from snellen.metrics.average_precision import (
    RankedCurve,
    average_precision_11_point,
    average_precision_area,
    average_precision_step,
    ranked_curve,
    receiver_curve,
)
from snellen.metrics.calibration import expected_calibration_error, negative_log_likelihood, reliability
from snellen.metrics.classification import ClassFigures, ClassificationMetric, class_figures, confusion_counts
from snellen.metrics.coco import COCO_NAMES, CocoSummary, coco_summary
from snellen.metrics.detection import DetectionMetric, voc_average_precision
from snellen.metrics.detection_errors import BACKGROUND
from snellen.metrics.label_quality import (
    ObjectQuality,
    class_thresholds,
    confident_disagreement,
    confident_joint,
    mask_quality,
    normalized_margin,
    object_quality,
    pooled_quality,
    self_confidence,
    softmin,
)
from snellen.metrics.label_sets import (
    DEFAULT_THRESHOLD,
    LabelSetFigures,
    LabelSetMetric,
    coverage_errors,
    label_set_figures,
    ranking_losses,
)
from snellen.metrics.objects import ImageObjects
from snellen.metrics.segmentation import OverlapFigures, SegmentationMetric, overlap_figures, region_recalls
from snellen.metrics.values import ValueFigures, ValueMetric, spearman_correlation, unit_of, value_figures

__all__ = [
    "ACUITY_RECALL",
    "BACKGROUND",
    "COCO_NAMES",
    "DEFAULT_THRESHOLD",
    "Acuity",
    "ClassFigures",
    "ClassificationMetric",
    "CocoSummary",
    "DetectionMetric",
    "ImageObjects",
    "LabelSetFigures",
    "LabelSetMetric",
    "ObjectQuality",
    "OverlapFigures",
    "RankedCurve",
    "SegmentationMetric",
    "ValueFigures",
    "ValueMetric",
    "acuity",
    "average_precision_11_point",
    "average_precision_area",
    "average_precision_step",
    "class_figures",
    "class_thresholds",
    "coco_summary",
    "confident_disagreement",
    "confident_joint",
    "confusion_counts",
    "coverage_errors",
    "expected_calibration_error",
    "label_set_figures",
    "mask_quality",
    "negative_log_likelihood",
    "normalized_margin",
    "object_quality",
    "overlap_figures",
    "pooled_quality",
    "ranked_curve",
    "ranking_losses",
    "receiver_curve",
    "region_recalls",
    "reliability",
    "self_confidence",
    "softmin",
    "spearman_correlation",
    "unit_of",
    "value_figures",
    "voc_average_precision",
]
