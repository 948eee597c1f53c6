"""How far a figure could have come out otherwise on other images of the same kind: bootstrap intervals."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64, Int64

__all__ = ["QUICK_FIGURES", "RESAMPLES", "bootstrap_interval", "image_draws", "interval_ends"]

RESAMPLES = 1000  # Efron and Tibshirani 1993, section 13.3, ask for so many for the ends of an interval
_LEVEL = 0.95


def bootstrap_interval(
    num_images: int, measure: Callable[[Int64[np.ndarray, " num_images"]], float], *, resamples: int, seed: int = 0
) -> tuple[float, float]:
    """Return the ends of the 95 % percentile interval of a figure.

    Args:
        num_images: That it was measured on.
        measure: From rows, drawn with replacement, to the figure on them; nan where it has none.
        resamples: How often to draw.
        seed: Of the draws.

    Returns:
        Low and high; nan where no draw has a figure.

    Source:
        Efron 1979, https://doi.org/10.1214/aos/1176344552; percentiles as in Efron and Tibshirani 1993, section 13.3.
    """
    generator = np.random.default_rng(seed)
    values = np.array([measure(generator.integers(0, num_images, num_images)) for _ in range(resamples)])
    return interval_ends(values)


def image_draws(num_images: int, draws: int, *, seed: int = 0) -> Float64[np.ndarray, "draws num_images"]:
    """Return how often each image stands in each draw with replacement: the same draws as rows, as weights."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(num_images, np.full(num_images, 1 / num_images), size=draws).astype(np.float64)


def interval_ends(values: Float64[np.ndarray, " draws"]) -> tuple[float, float]:
    """Return the ends of the 95 % percentile interval of drawn figures; nan where no draw has one."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def _accuracy(truth: Int64[np.ndarray, " n"], guess: Int64[np.ndarray, " n"]) -> float:
    return float((truth == guess).mean())


def _balanced_accuracy(truth: Int64[np.ndarray, " n"], guess: Int64[np.ndarray, " n"]) -> float:
    counts = np.bincount(truth)
    right = np.bincount(truth, weights=truth == guess)
    return float((right[counts > 0] / counts[counts > 0]).mean())


# Figures of a classifier that need true and guessed labels alone, by their names in the results.
QUICK_FIGURES: Mapping[str, Callable[[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]], float]] = MappingProxyType(
    {"accuracy": _accuracy, "balanced_accuracy": _balanced_accuracy}
)
