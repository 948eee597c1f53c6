"""How a run is judged: the figure that stands first, which decides which weights are best and when training stops."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from snellen.data import DatasetIndex
from snellen.errors import ConfigError, did_you_mean
from snellen.evaluation import Judging
from snellen.metrics import CLASS_HEADLINES, IMBALANCED_FROM, Decision, class_headline
from snellen.structures import ClassTarget, Target

__all__ = ["Headline", "chosen_headline", "recorded_judging"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The figure that stands first.

    Attributes:
        name: Of the figure; None where the metric of the target has one that always is.
        reasons: Why it does, under ``headline``; empty where there was nothing to choose.
    """

    name: str | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


def chosen_headline(train: DatasetIndex, given: str | None) -> Headline:
    """Return the figure that stands first for what was trained on these images.

    Args:
        train: The training images.
        given: What the user wants; None to choose by the sizes of the classes.

    Raises:
        ConfigError: If there is no such figure to choose.
    """
    choose = _CHOICES.get(train.target_type)
    if choose is None:
        if given is not None:
            raise ConfigError(
                f"headline is chosen for one class for each image; the data set has {train.target_type.__name__}. "
                "Leave it out."
            )
        return Headline()
    return choose(train, given)


def recorded_judging(record: Mapping[str, Any], decision: Decision | None = None) -> Judging:
    """Return how a run is judged, by its record."""
    return Judging(headline=record.get("headline"), decision=decision)


def _of_classes(train: DatasetIndex, given: str | None) -> Headline:
    if given is not None:
        if given not in CLASS_HEADLINES:
            raise ConfigError(
                f"headline must be one of {', '.join(map(repr, CLASS_HEADLINES))}; got {given!r}."
                f"{did_you_mean(given, CLASS_HEADLINES)}"
            )
        return Headline(name=given, reasons={"headline": "given"})
    counts = train.annotations.class_counts(len(train.classes)).sum(axis=0)
    name = class_headline(counts)
    if name == "accuracy":
        reason = f"no class has {IMBALANCED_FROM:g} times as many training images as another"
        return Headline(name=name, reasons={"headline": reason})
    present = np.flatnonzero(counts)
    most, least = (int(present[place]) for place in (counts[present].argmax(), counts[present].argmin()))
    reason = (
        f"{counts[most]:,} images of {train.classes[most]}, {counts[least]:,} of {train.classes[least]} (from "
        f"{IMBALANCED_FROM:g} : 1 on, KEEL): always naming {train.classes[most]} would have an accuracy of "
        f"{counts[most] / counts.sum():.3g}, and here {1 / len(present):.3g}"
    )
    return Headline(name=name, reasons={"headline": reason})


_CHOICES: Mapping[type[Target], Callable[[DatasetIndex, str | None], Headline]] = MappingProxyType(
    {ClassTarget: _of_classes}
)
