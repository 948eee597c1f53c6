"""Networks: backbones, and what stands on them for each task."""

from snellen.models.backbones import BACKBONES
from snellen.models.catalog import MODELS, find_model
from snellen.models.description import (
    FeatureDescription,
    LayerDescription,
    MapReach,
    ModelDescription,
    count_parameters,
    describe_backbone,
    describe_model,
    map_reaches,
)
from snellen.models.effective_field import EffectiveField, effective_fields
from snellen.models.entry import ModelEntry, builder_options, builder_words, usual_norm
from snellen.models.pages import measured, page, page_names
from snellen.models.reshaping import (
    ACTIVATIONS,
    BENDING,
    INITS,
    NORMS,
    ActivationName,
    InitName,
    NormName,
    change_activations,
    draw_weights,
    norm_named,
)
from snellen.models.settings import change_settings, settings_of
from snellen.models.stage_paths import stage_paths
from snellen.models.weights import WeightsReport, load_weights, weights_settings

__all__ = [
    "ACTIVATIONS",
    "BACKBONES",
    "BENDING",
    "INITS",
    "MODELS",
    "NORMS",
    "ActivationName",
    "EffectiveField",
    "FeatureDescription",
    "InitName",
    "LayerDescription",
    "MapReach",
    "ModelDescription",
    "ModelEntry",
    "NormName",
    "WeightsReport",
    "builder_options",
    "builder_words",
    "change_activations",
    "change_settings",
    "count_parameters",
    "describe_backbone",
    "describe_model",
    "draw_weights",
    "effective_fields",
    "find_model",
    "load_weights",
    "map_reaches",
    "measured",
    "norm_named",
    "page",
    "page_names",
    "settings_of",
    "stage_paths",
    "usual_norm",
    "weights_settings",
]
