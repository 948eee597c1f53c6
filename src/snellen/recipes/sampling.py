"""How often each training image is shown: samplers by name, made from the classes on each image."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from jaxtyping import Int64

from snellen.data import (
    DatasetIndex,
    OversamplingSampler,
    RepeatFactorSampler,
    Sampler,
    SequentialSampler,
    ShuffledSampler,
    UndersamplingSampler,
    WeightedSampler,
    class_balanced_weights,
    rarest_classes,
    repeat_factors,
)

__all__ = ["SAMPLERS", "SamplerName", "shown_counts", "shown_words", "training_sampler"]

SamplerName = Literal[
    "shuffled", "repeat_factor", "class_balanced", "square_root", "oversampled", "undersampled", "in_order"
]
_MOST_NAMED = 4  # classes in a reason
_EPOCHS = 20  # over which counts are averaged


def training_sampler(part: DatasetIndex, name: SamplerName) -> Sampler:
    """Return what decides which training images an epoch shows; a function of the seed and the epoch.

    Args:
        part: The training images.
        name: ``shuffled`` shows every image once, ``repeat_factor`` those with rare classes several times,
            ``class_balanced`` draws so that every class is met equally often, ``square_root`` in proportion to the
            square root of its images; ``oversampled`` repeats images until every class is as large as the largest,
            ``undersampled`` shows as many images of each class as the smallest has, others in each epoch; ``in_order``
            shows them as the data set lists them, epoch by epoch alike.
    """
    return SAMPLERS[name](part)


def shown_counts(part: DatasetIndex, name: SamplerName, *, seed: int) -> Int64[np.ndarray, " num_classes"]:
    """Return how many images of each class an epoch shows, the mean of a few where it is drawn.

    Args:
        part: The training images.
        name: Of the sampler.
        seed: Of the run.
    """
    counts = part.annotations.class_counts(len(part.classes)) > 0
    if name in ("shuffled", "in_order"):
        return np.asarray(counts.sum(axis=0), np.int64)
    sampler = training_sampler(part, name)
    epochs = [counts[sampler.rows(epoch, seed)].sum(axis=0) for epoch in range(_EPOCHS)]
    return np.asarray(np.mean(epochs, axis=0).round(), np.int64)


def shown_words(part: DatasetIndex, name: SamplerName, *, seed: int) -> str:
    """Return how many images an epoch shows, and of which classes, beside those that there are.

    Args:
        part: The training images.
        name: Of the sampler.
        seed: Of the run.
    """
    there = (part.annotations.class_counts(len(part.classes)) > 0).sum(axis=0)
    shown = shown_counts(part, name, seed=seed)
    order = np.argsort(-there, kind="stable")
    ends = (
        order if len(order) <= _MOST_NAMED else np.concatenate([order[: _MOST_NAMED // 2], order[-_MOST_NAMED // 2 :]])
    )
    classes = ", ".join(f"{part.classes[label]} {shown[label]:,} of {there[label]:,}" for label in ends)
    return f"an epoch shows {len(training_sampler(part, name)):,} of {len(part):,} images: {classes}"


def _labels(part: DatasetIndex) -> list[list[int]]:
    return [np.flatnonzero(counts).tolist() for counts in part.annotations.class_counts(len(part.classes))]


def _shuffled(part: DatasetIndex) -> Sampler:
    return ShuffledSampler(len(part))


def _in_order(part: DatasetIndex) -> Sampler:
    return SequentialSampler(len(part))


def _repeat_factor(part: DatasetIndex) -> Sampler:
    """Show classes below the median frequency more often.

    LVIS's threshold of 0.001 is made for 1200 classes; the median frequency is that of Eigen and Fergus 2015,
    section 6.3.2, and fits any number of them.
    """
    shares = (part.annotations.class_counts(len(part.classes)) > 0).mean(0)
    return RepeatFactorSampler(repeat_factors(_labels(part), threshold=float(np.median(shares[shares > 0]))))


def _class_balanced(part: DatasetIndex) -> Sampler:
    return WeightedSampler(class_balanced_weights(_labels(part)))


def _square_root(part: DatasetIndex) -> Sampler:
    return WeightedSampler(class_balanced_weights(_labels(part), power=0.5))


def _oversampled(part: DatasetIndex) -> Sampler:
    return OversamplingSampler(rarest_classes(_labels(part)))


def _undersampled(part: DatasetIndex) -> Sampler:
    return UndersamplingSampler(rarest_classes(_labels(part)))


SAMPLERS: Mapping[SamplerName, Callable[[DatasetIndex], Sampler]] = {
    "shuffled": _shuffled,
    "repeat_factor": _repeat_factor,
    "class_balanced": _class_balanced,
    "square_root": _square_root,
    "oversampled": _oversampled,
    "undersampled": _undersampled,
    "in_order": _in_order,
}
