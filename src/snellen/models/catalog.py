"""The models that exist, by name."""

from snellen.errors import ConfigError, did_you_mean
from snellen.models.backbones.timm_adapter import is_timm_name
from snellen.models.classification.catalog import CLASSIFIERS
from snellen.models.classification.timm_classifier import timm_entry
from snellen.models.detection.catalog import DETECTORS
from snellen.models.entry import ModelEntry
from snellen.models.segmentation.catalog import SEGMENTERS

__all__ = ["MODELS", "find_model"]

MODELS: tuple[ModelEntry, ...] = (*CLASSIFIERS, *SEGMENTERS, *DETECTORS)


def find_model(name: str) -> ModelEntry:
    """Return the row of a model; ``timm:NAME`` is a network of timm as a classifier.

    Raises:
        ConfigError: If there is none of that name.
        MissingExtraError: If it is one of timm's and timm is not installed.
    """
    if is_timm_name(name):
        return timm_entry(name)
    rows = {entry.name: entry for entry in MODELS}
    if name not in rows:
        raise ConfigError(f"there is no model {name!r}.{did_you_mean(name, rows)}")
    return rows[name]
