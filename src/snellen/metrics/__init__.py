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
from snellen.metrics.boundaries import BandCounts, band_counts, band_width_px, boundary_scores, tolerance_px
from snellen.metrics.calibration import (
    MOST_TEMPERATURE,
    NUM_CONFIDENCE_BINS,
    expected_calibration_error,
    fitted_temperature,
    negative_log_likelihood,
    reliability,
)
from snellen.metrics.classification import ClassFigures, ClassificationMetric, class_figures, confusion_counts
from snellen.metrics.coco import COCO_NAMES, CocoSummary, coco_summary
from snellen.metrics.decisions import Decision, decided_labels
from snellen.metrics.detection import DetectionMetric, voc_average_precision
from snellen.metrics.detection_errors import BACKGROUND
from snellen.metrics.error_costs import (
    DetectionErrors,
    ErrorCost,
    ErrorKind,
    error_costs,
    mended_precision,
    sort_errors,
)
from snellen.metrics.headline import CLASS_HEADLINES, IMBALANCED_FROM, ClassHeadline, class_headline
from snellen.metrics.intervals import RESAMPLES, image_draws, interval_ends
from snellen.metrics.label_quality import (
    ObjectQuality,
    class_thresholds,
    confident_disagreement,
    confident_joint,
    confident_set_answers,
    mask_quality,
    normalized_margin,
    object_quality,
    pooled_quality,
    prior_free,
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
from snellen.metrics.matching import IGNORED, NOTHING
from snellen.metrics.objects import ImageObjects
from snellen.metrics.operating import ImageMatches, match_images, operating_point, rank
from snellen.metrics.paired import Interval, mean_interval, paired_interval, resampled_interval
from snellen.metrics.panoptic import PanopticCounts, PanopticFigures, Segments, panoptic_counts, panoptic_figures
from snellen.metrics.segmentation import OverlapFigures, SegmentationMetric, overlap_figures, region_recalls
from snellen.metrics.thresholds import ThresholdPoint, point_at_precision, point_at_recall, point_of_best_f1
from snellen.metrics.values import ValueFigures, ValueMetric, spearman_correlation, unit_of, value_figures

__all__ = [
    "ACUITY_RECALL",
    "BACKGROUND",
    "CLASS_HEADLINES",
    "COCO_NAMES",
    "DEFAULT_THRESHOLD",
    "IGNORED",
    "IMBALANCED_FROM",
    "MOST_TEMPERATURE",
    "NOTHING",
    "NUM_CONFIDENCE_BINS",
    "RESAMPLES",
    "Acuity",
    "BandCounts",
    "ClassFigures",
    "ClassHeadline",
    "ClassificationMetric",
    "CocoSummary",
    "Decision",
    "DetectionErrors",
    "DetectionMetric",
    "ErrorCost",
    "ErrorKind",
    "ImageMatches",
    "ImageObjects",
    "Interval",
    "LabelSetFigures",
    "LabelSetMetric",
    "ObjectQuality",
    "OverlapFigures",
    "PanopticCounts",
    "PanopticFigures",
    "RankedCurve",
    "SegmentationMetric",
    "Segments",
    "ThresholdPoint",
    "ValueFigures",
    "ValueMetric",
    "acuity",
    "average_precision_11_point",
    "average_precision_area",
    "average_precision_step",
    "band_counts",
    "band_width_px",
    "boundary_scores",
    "class_figures",
    "class_headline",
    "class_thresholds",
    "coco_summary",
    "confident_disagreement",
    "confident_joint",
    "confident_set_answers",
    "confusion_counts",
    "coverage_errors",
    "decided_labels",
    "error_costs",
    "expected_calibration_error",
    "fitted_temperature",
    "image_draws",
    "interval_ends",
    "label_set_figures",
    "mask_quality",
    "match_images",
    "mean_interval",
    "mended_precision",
    "negative_log_likelihood",
    "normalized_margin",
    "object_quality",
    "operating_point",
    "overlap_figures",
    "paired_interval",
    "panoptic_counts",
    "panoptic_figures",
    "point_at_precision",
    "point_at_recall",
    "point_of_best_f1",
    "pooled_quality",
    "prior_free",
    "rank",
    "ranked_curve",
    "ranking_losses",
    "receiver_curve",
    "region_recalls",
    "reliability",
    "resampled_interval",
    "self_confidence",
    "softmin",
    "sort_errors",
    "spearman_correlation",
    "tolerance_px",
    "unit_of",
    "value_figures",
    "voc_average_precision",
]
