"""Networks: backbones, and what stands on them for each task."""

from snellen.models.catalog import MODELS, ModelEntry, find_model
from snellen.models.description import ModelDescription, count_parameters, describe_model
from snellen.models.weights import WeightsReport, load_weights, weights_settings

__all__ = [
    "MODELS",
    "ModelDescription",
    "ModelEntry",
    "WeightsReport",
    "count_parameters",
    "describe_model",
    "find_model",
    "load_weights",
    "weights_settings",
]
