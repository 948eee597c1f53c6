"""Networks: backbones, and what stands on them for each task."""

from snellen.models.catalog import MODELS, find_model
from snellen.models.description import MapReach, ModelDescription, count_parameters, describe_model, map_reaches
from snellen.models.entry import ModelEntry, builder_options, builder_words, usual_norm
from snellen.models.pages import measured, page, page_names
from snellen.models.settings import change_settings, settings_of
from snellen.models.weights import WeightsReport, load_weights, weights_settings

__all__ = [
    "MODELS",
    "MapReach",
    "ModelDescription",
    "ModelEntry",
    "WeightsReport",
    "builder_options",
    "builder_words",
    "change_settings",
    "count_parameters",
    "describe_model",
    "find_model",
    "load_weights",
    "map_reaches",
    "measured",
    "page",
    "page_names",
    "settings_of",
    "usual_norm",
    "weights_settings",
]
