"""A model over a data set: metrics, predictions on disk, large images in tiles."""

from snellen.evaluation.blending import blend_weights, log_loss
from snellen.evaluation.calibrated import Calibrated, tempered
from snellen.evaluation.catalog import METRICS, Attributes, MetricBuilder
from snellen.evaluation.judging import Judging
from snellen.evaluation.loop import PrecisionContext, evaluate, inspecting, predicted_batches
from snellen.evaluation.predictions import PredictionWriter, evaluate_predictions, read_predictions
from snellen.evaluation.results_json import from_json, to_json
from snellen.evaluation.stores import STORES, read_coco_results
from snellen.evaluation.storing import ImagePrediction, Naming
from snellen.evaluation.tiling import MERGERS, Tile, predict_tiled, tiles_of

__all__ = [
    "MERGERS",
    "METRICS",
    "STORES",
    "Attributes",
    "Calibrated",
    "ImagePrediction",
    "Judging",
    "MetricBuilder",
    "Naming",
    "PrecisionContext",
    "PredictionWriter",
    "Tile",
    "blend_weights",
    "evaluate",
    "evaluate_predictions",
    "from_json",
    "inspecting",
    "log_loss",
    "predict_tiled",
    "predicted_batches",
    "read_coco_results",
    "read_predictions",
    "tempered",
    "tiles_of",
    "to_json",
]
