"""A model over a data set: metrics, predictions on disk, large images in tiles."""

from snellen.evaluation.blending import blend_weights, log_loss
from snellen.evaluation.calibrated import Calibrated, tempered
from snellen.evaluation.catalog import METRICS, Attributes, MetricBuilder
from snellen.evaluation.judging import Judging
from snellen.evaluation.loop import PrecisionContext, evaluate, inspecting, predicted_batches
from snellen.evaluation.pixel_scores import PixelScores, has_pixel_scores, pixel_probs, said_anew
from snellen.evaluation.predictions import PredictionWriter, evaluate_predictions, read_predictions
from snellen.evaluation.refined import Refined
from snellen.evaluation.results_json import from_json, to_json
from snellen.evaluation.stopwatch import Lap, Stopwatch
from snellen.evaluation.stores import STORES, read_coco_results
from snellen.evaluation.storing import ImagePrediction, Naming
from snellen.evaluation.tiles import Tile, tiles_of
from snellen.evaluation.tiling import MERGERS, predict_tiled
from snellen.evaluation.views import AVERAGED, Views

__all__ = [
    "AVERAGED",
    "MERGERS",
    "METRICS",
    "STORES",
    "Attributes",
    "Calibrated",
    "ImagePrediction",
    "Judging",
    "Lap",
    "MetricBuilder",
    "Naming",
    "PixelScores",
    "PrecisionContext",
    "PredictionWriter",
    "Refined",
    "Stopwatch",
    "Tile",
    "Views",
    "blend_weights",
    "evaluate",
    "evaluate_predictions",
    "from_json",
    "has_pixel_scores",
    "inspecting",
    "log_loss",
    "pixel_probs",
    "predict_tiled",
    "predicted_batches",
    "read_coco_results",
    "read_predictions",
    "said_anew",
    "tempered",
    "tiles_of",
    "to_json",
]
