"""What learners learn from, and what they have in common.

Shapes: n images, d features, P classes that occur, K classes of the data set.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from snellen.models.shallow.fitted import Arrays, Schema

__all__ = ["Examples", "Predictor", "class_weights", "patient", "sample_weights", "softmax", "two_columns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Images as features, with their classes.

    Attributes:
        features: One row for each image.
        labels: 0..P-1; every class occurs.
        num_classes: P, at least 2.
        seed: Of everything random.
        is_balanced: Whether every class weighs the same, however many images it has.
    """

    features: Float32[np.ndarray, "n d"]
    labels: Int64[np.ndarray, " n"]
    num_classes: int
    seed: int
    is_balanced: bool = False

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """How classes are told from what a learner left behind.

    Attributes:
        schema: Of the arrays; ``d`` and ``P`` are known.
        margins: From arrays and features to one number for each image and class; the greatest wins.
        probs: From margins to probabilities that sum to 1; None where they are found by a calibration.
    """

    schema: Schema
    margins: Callable[[Arrays, NDArray[np.float32]], NDArray[np.float64]]
    probs: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None


def class_weights(examples: Examples) -> Float64[np.ndarray, " P"]:
    """Return the weight of an image of each class: 1, or n / (P · images of the class)."""
    if not examples.is_balanced:
        return np.ones(examples.num_classes)
    counts = np.bincount(examples.labels, minlength=examples.num_classes)
    return len(examples) / (examples.num_classes * np.maximum(counts, 1))


def sample_weights(examples: Examples) -> Float64[np.ndarray, " n"] | None:
    """Return the weight of each image; None where all weigh the same."""
    return class_weights(examples)[examples.labels] if examples.is_balanced else None


def softmax(margins: Float64[np.ndarray, "n P"]) -> Float64[np.ndarray, "n P"]:
    """Return probabilities from log-odds."""
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def two_columns(rows: NDArray[Any]) -> NDArray[Any]:
    """Return one row for each class where a solver of two classes gives one, that of the second, alone."""
    return np.concatenate([-rows, rows]) if len(rows) == 1 else rows


@contextmanager
def patient() -> Iterator[None]:
    """Let a solver stop before its optimum, and classes be as many and as small as they are, without a word.

    What a solver reached is measured like everything else.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - takes a second to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        warnings.filterwarnings("ignore", "Only one sample available", UserWarning)
        yield
