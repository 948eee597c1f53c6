"""How often each training image is shown: samplers by name, made from the classes on each image."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from snellen.data import (
    DatasetIndex,
    RepeatFactorSampler,
    Sampler,
    ShuffledSampler,
    WeightedSampler,
    class_balanced_weights,
    repeat_factors,
)

__all__ = ["SAMPLERS", "SamplerName", "training_sampler"]

SamplerName = Literal["shuffled", "repeat_factor", "class_balanced"]


def training_sampler(part: DatasetIndex, name: SamplerName) -> Sampler:
    """Return what decides which training images an epoch shows; a function of the seed and the epoch.

    Args:
        part: The training images.
        name: ``shuffled`` shows every image once, ``repeat_factor`` those with rare classes several times,
            ``class_balanced`` draws so that every class is met equally often.
    """
    return SAMPLERS[name](part)


def _labels(part: DatasetIndex) -> list[list[int]]:
    return [np.flatnonzero(counts).tolist() for counts in part.annotations.class_counts(len(part.classes))]


def _shuffled(part: DatasetIndex) -> Sampler:
    return ShuffledSampler(len(part))


def _repeat_factor(part: DatasetIndex) -> Sampler:
    """Show classes below the median frequency more often.

    LVIS's threshold of 0.001 is made for 1200 classes; the median frequency is that of Eigen and Fergus 2015,
    section 6.3.2, and fits any number of them.
    """
    shares = (part.annotations.class_counts(len(part.classes)) > 0).mean(0)
    return RepeatFactorSampler(repeat_factors(_labels(part), threshold=float(np.median(shares[shares > 0]))))


def _class_balanced(part: DatasetIndex) -> Sampler:
    return WeightedSampler(class_balanced_weights(_labels(part)))


SAMPLERS: Mapping[SamplerName, Callable[[DatasetIndex], Sampler]] = {
    "shuffled": _shuffled,
    "repeat_factor": _repeat_factor,
    "class_balanced": _class_balanced,
}
