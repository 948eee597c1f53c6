"""The models that exist, by name."""

from collections.abc import Iterable

from snellen.errors import ConfigError, did_you_mean
from snellen.models.backbones.timm_adapter import is_timm_name
from snellen.models.classification.catalog import CLASSIFIERS
from snellen.models.classification.timm_classifier import timm_entry
from snellen.models.detection.catalog import DETECTORS
from snellen.models.entry import ModelEntry
from snellen.models.segmentation.catalog import SEGMENTERS
from snellen.models.segmentation.classical import CLASSICAL_SEGMENTERS
from snellen.models.shallow import hand_made_names, shallow_entry
from snellen.structures import Target

__all__ = ["MODELS", "find_model"]

MODELS: tuple[ModelEntry, ...] = (*CLASSIFIERS, *SEGMENTERS, *CLASSICAL_SEGMENTERS, *DETECTORS)


def find_model(name: str, target_type: type[Target] | None = None) -> ModelEntry:
    """Return the row of a model; ``timm:NAME`` is a network of timm as a classifier.

    Args:
        name: From the table, of a network of timm, or of a shallow model, ``FEATURES_LEARNER``.
        target_type: What it shall learn from, where one name stands for several models, as ``hog_svm`` does, or one
            network learns several things. None for what the name stands for first.

    Raises:
        ConfigError: If there is none of that name.
        MissingExtraError: If it is one of timm's and timm is not installed.
    """
    rows = {entry.name: entry for entry in MODELS}
    row = rows.get(name)
    if row is not None and target_type in (None, *row.target_types):
        return _learning(row, target_type)
    found = shallow_entry(name, target_type) or row
    if found is None and is_timm_name(name):
        return _learning(timm_entry(name), target_type)
    if found is None:
        raise ConfigError(f"there is no model {name!r}.{_near(name, rows)}")
    return found


def _learning(row: ModelEntry, target_type: type[Target] | None) -> ModelEntry:
    return row.learning(target_type) if target_type in row.target_types and target_type is not None else row


def _near(name: str, rows: Iterable[str]) -> str:
    """Return a hint at near names, shallow models among them; they are too many to be listed where none is near."""
    near = did_you_mean(name, {*rows, *hand_made_names()})
    return near if near.startswith(" Did") else " `snellen models` lists them, `snellen models --search WORD` some."
