"""What a model must know of the training targets before its first step: by the type of the targets."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.data import DatasetIndex, LabelSetTable, MaskTable, ValueTable
from snellen.doctor.evidence.mask_pixels import pixels_of_masks
from snellen.errors import ConfigError, did_you_mean
from snellen.models.classification.objective import CLASS_WEIGHTINGS, class_weights_of
from snellen.models.segmentation import PIXEL_WEIGHTINGS, pixel_class_weights
from snellen.models.segmentation.answer import USUAL_PIXEL_BETA
from snellen.recipes.sampling import SamplerName, shown_counts
from snellen.structures import ClassTarget, LabelSetTarget, MaskTarget, Target, ValueTarget

__all__ = ["DERIVED_OPTIONS", "target_options"]

DERIVED_OPTIONS = (
    "class_counts",
    "class_pixels",
    "image_pixels",
    "shares",
    "value_mean",
    "value_spread",
)  # keywords of models that are taken from the data
BALANCED = "balanced"  # word of the option positive_weights
_MOST_NAMED = 6  # classes in a reason; all of them are in the record
_MOST_WEIGHT = 100.0  # of a positive answer; beyond, single images of a rare class would decide every step
Options = dict[str, Any]
Reasons = dict[str, str]
Counts = NDArray[np.int64]  # images of each class that an epoch shows


def target_options(
    train: DatasetIndex, given: Mapping[str, Any], *, sampler: SamplerName = "shuffled", seed: int = 0
) -> tuple[Options, Reasons]:
    """Return keywords of the builder that the training targets decide, and why they have their values.

    Args:
        train: The training images.
        given: What the user set; it wins.
        sampler: Which of them an epoch shows: what a loss evens out is what it meets.
        seed: Of the run.

    Raises:
        ConfigError: If weights are given for classes that are not there.
    """
    derive = _DERIVED.get(train.target_type)
    return ({}, {}) if derive is None else derive(train, given, shown_counts(train, sampler, seed=seed))


def _given_by_name(train: DatasetIndex, given: Mapping[str, Any]) -> tuple[Options, Reasons]:
    """Return the weights that were given by name, in label order; nothing where they were not."""
    weights = given.get("class_weights")
    if not isinstance(weights, Mapping):
        return {}, {}
    ordered = _weights_by_name(weights, train.classes)
    return {"class_weights": ordered}, {"class_weights": "given; classes that are not named weigh 1"}


def _of_classes(train: DatasetIndex, given: Mapping[str, Any], counts: Counts) -> tuple[Options, Reasons]:
    options, reasons = _given_by_name(train, given)
    weights = given.get("class_weights")
    is_word = isinstance(weights, str) and weights in CLASS_WEIGHTINGS
    if "class_counts" not in given and (is_word or given.get("logit_adjustment", "none") != "none"):
        options["class_counts"] = counts.tolist()
        reasons["class_counts"] = f"training images in an epoch: {_named(train.classes, counts)}"
    if isinstance(weights, str) and is_word:
        beta = {"beta": given["beta"]} if isinstance(given.get("beta"), int | float) else {}
        known = torch.tensor(given.get("class_counts", counts.tolist()))
        factors = class_weights_of(weights, known, num_classes=len(train.classes), **beta)
        reasons["class_weights"] = f"given; in the loss an image counts {_named(train.classes, factors.numpy())}"
    return options, reasons


def _weights_by_name(weights: Mapping[str, Any], classes: Sequence[str]) -> list[Any]:
    """Return a weight for each class; 1 where none was given."""
    for name in weights:
        if name not in classes:
            raise ConfigError(
                f"class_weights must name classes of the data set ({', '.join(classes[:_MOST_NAMED])}"
                f"{', …' if len(classes) > _MOST_NAMED else ''}); got {name!r}.{did_you_mean(name, classes)}"
            )
    return [weights.get(name, 1.0) for name in classes]


def _named(classes: Sequence[str], numbers: NDArray[Any]) -> str:
    """Return numbers with the names of their classes; of many classes the ends."""
    order = np.argsort(-numbers, kind="stable")
    half = _MOST_NAMED // 2
    told = order if len(order) <= _MOST_NAMED else np.concatenate([order[:half], order[-half:]])
    words = [f"{classes[label]} {numbers[label]:,.3g}" if numbers.dtype.kind == "f" else
             f"{classes[label]} {numbers[label]:,}" for label in told]  # fmt: skip
    return ", ".join(words if len(told) == len(order) else [*words[:half], "…", *words[half:]])


def _of_label_sets(train: DatasetIndex, given: Mapping[str, Any], counts: Counts) -> tuple[Options, Reasons]:
    del counts  # of what is not known of an image they say nothing
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


def _of_values(train: DatasetIndex, given: Mapping[str, Any], counts: Counts) -> tuple[Options, Reasons]:
    del counts
    table = train.annotations
    if not isinstance(table, ValueTable):
        return {}, {}
    columns = [column[np.isfinite(column)] for column in table.values.T]
    means = [float(column.mean()) if len(column) else 0.0 for column in columns]
    spreads = [float(column.std()) if len(column) else 0.0 for column in columns]
    found = {"value_mean": means, "value_spread": [spread if spread > 0 else 1.0 for spread in spreads]}
    options = {name: values for name, values in found.items() if name not in given}
    return options, dict.fromkeys(options, "of the training images: the network works in standard units")


def _of_masks(train: DatasetIndex, given: Mapping[str, Any], counts: Counts) -> tuple[Options, Reasons]:
    del counts  # of images; here pixels count
    options, reasons = _given_by_name(train, given)
    weights = given.get("class_weights")
    if not isinstance(weights, str) or weights not in PIXEL_WEIGHTINGS or not isinstance(train.annotations, MaskTable):
        return options, reasons
    pixels, of_images = _pixel_counts(train)
    for name, numbers in (("class_pixels", pixels), ("image_pixels", of_images)):
        if name not in given:
            options[name] = numbers.tolist()
    reasons["class_pixels"] = f"of the training masks: {_named(train.classes, pixels)}"
    reasons["image_pixels"] = "of the training images that show each class"
    beta = given["beta"] if isinstance(given.get("beta"), int | float) else USUAL_PIXEL_BETA
    known = [torch.tensor(given.get(name, options.get(name))) for name in ("class_pixels", "image_pixels")]
    factors = pixel_class_weights(weights, *known, num_classes=len(train.classes), beta=beta)
    reasons["class_weights"] = f"given; in the loss a pixel counts {_named(train.classes, factors.numpy())}"
    return options, reasons


def _pixel_counts(train: DatasetIndex) -> tuple[Counts, Counts]:
    """Return the training pixels of each class, and those of the training images that show it."""
    found = pixels_of_masks(train, None)
    sizes = found.sizes.astype(np.int64).prod(axis=1)[:, None]  # of each image
    pixels = np.rint(found.shares[:, :-1].astype(np.float64) * sizes).astype(np.int64)
    return pixels.sum(axis=0), ((pixels > 0) * sizes).sum(axis=0)


_DERIVED: Mapping[type[Target], Callable[[DatasetIndex, Mapping[str, Any], Counts], tuple[Options, Reasons]]] = (
    MappingProxyType(
        {
            ClassTarget: _of_classes,
            LabelSetTarget: _of_label_sets,
            MaskTarget: _of_masks,
            ValueTarget: _of_values,
        }
    )
)
