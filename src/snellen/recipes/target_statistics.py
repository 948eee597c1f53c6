"""What a model must know of the training targets before its first step: by the type of the targets."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from snellen.data import DatasetIndex, LabelSetTable, ValueTable
from snellen.structures import LabelSetTarget, Target, ValueTarget

__all__ = ["DERIVED_OPTIONS", "target_options"]

DERIVED_OPTIONS = ("shares", "value_mean", "value_spread")  # keywords of models that are taken from the data
BALANCED = "balanced"  # word of the option positive_weights
_MOST_WEIGHT = 100.0  # of a positive answer; beyond, single images of a rare class would decide every step
Options = dict[str, Any]
Reasons = dict[str, str]


def target_options(train: DatasetIndex, given: Mapping[str, Any]) -> tuple[Options, Reasons]:
    """Return keywords of the builder that the training targets decide, and why they have their values.

    Args:
        train: The training images.
        given: What the user set; it wins.
    """
    derive = _DERIVED.get(train.target_type)
    return ({}, {}) if derive is None else derive(train, given)


def _of_label_sets(train: DatasetIndex, given: Mapping[str, Any]) -> tuple[Options, Reasons]:
    table = train.annotations
    if not isinstance(table, LabelSetTable):
        return {}, {}
    positive, known = table.shown.sum(axis=0), table.known.sum(axis=0)
    options: Options = {}
    reasons: Reasons = {}
    if "shares" not in given:
        options["shares"] = [round(float(share), 6) for share in positive / np.maximum(known, 1)]
        reasons["shares"] = "of the training images that show each class: where the last bias begins"
    if given.get("positive_weights") == BALANCED:
        ratio = (known - positive) / np.maximum(positive, 1)
        weights = np.where(positive > 0, np.clip(ratio, 1 / _MOST_WEIGHT, _MOST_WEIGHT), 1.0)
        options["positive_weights"] = [round(float(weight), 4) for weight in weights]
        reasons["positive_weights"] = "images that do not show each class for one that does"
    return options, reasons


def _of_values(train: DatasetIndex, given: Mapping[str, Any]) -> tuple[Options, Reasons]:
    table = train.annotations
    if not isinstance(table, ValueTable):
        return {}, {}
    columns = [column[np.isfinite(column)] for column in table.values.T]
    means = [float(column.mean()) if len(column) else 0.0 for column in columns]
    spreads = [float(column.std()) if len(column) else 0.0 for column in columns]
    found = {"value_mean": means, "value_spread": [spread if spread > 0 else 1.0 for spread in spreads]}
    options = {name: values for name, values in found.items() if name not in given}
    return options, dict.fromkeys(options, "of the training images: the network works in standard units")


_DERIVED: Mapping[type[Target], Callable[[DatasetIndex, Mapping[str, Any]], tuple[Options, Reasons]]] = (
    MappingProxyType({LabelSetTarget: _of_label_sets, ValueTarget: _of_values})
)
