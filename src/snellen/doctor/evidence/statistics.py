"""Statistics that several checks need."""

import re
from math import sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["natural_key", "population_shift", "wilson_interval"]

Z_95 = 1.96  # two-sided 95 %
BINS = 10  # of the population stability index, deciles of the first sample; Siddiqi 2006
EMPTY_SHARE = 1e-4  # instead of 0 in a bin, so that the logarithm stays finite


def wilson_interval(hits: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share; 0 to 1 without any trial.

    Source:
        Wilson 1927.
    """
    if trials == 0:
        return 0.0, 1.0
    share, part = hits / trials, Z_95**2 / trials
    center = (share + part / 2) / (1 + part)
    half = Z_95 / (1 + part) * sqrt(share * (1 - share) / trials + part / (4 * trials))
    return max(0.0, center - half), min(1.0, center + half)


def population_shift(before: NDArray[np.floating], after: NDArray[np.floating]) -> float:
    """Return the population stability index of two samples, less what chance alone makes of two samples of that size.

    Source:
        Siddiqi 2006, Credit risk scorecards, chapter 10; below 0.1 none, 0.1 to 0.25 some, above 0.25 a shift. Expected
        by chance (chi-squared): (bins - 1)(1 / n + 1 / m), Yurdakul 2018.
    """
    edges = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1]))
    shares = []
    for sample in (before, after):
        counts = np.bincount(np.searchsorted(edges, sample, side="right"), minlength=len(edges) + 1)
        shares.append(np.maximum(counts / len(sample), EMPTY_SHARE))
    index = float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())
    return max(0.0, index - len(edges) * (1 / len(before) + 1 / len(after)))


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key by which names sort as people count: 2 before 10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)
