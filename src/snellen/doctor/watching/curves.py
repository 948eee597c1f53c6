"""Noisy series: where they are, how sure that is, and whether they rise or fall."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Course",
    "Trend",
    "course",
    "finite",
    "line_through",
    "noise_of",
    "rank_correlation",
    "running_median",
    "trend",
]

Floats = NDArray[np.float64]

NORMAL_MAD = 1.4826  # standard deviation of a normal distribution, in median absolute deviations
MEDIAN_EFFICIENCY = 1.2533  # standard error of a median over that of a mean, sqrt(pi / 2)
LEAST_PER_PART = 3  # values whose median is worth something
SURE = 3.0  # standard errors that a trend must be away from none


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """A noisy series, as parts that follow one another; ``p`` parts.

    Attributes:
        at: Middle of each part, in steps, ``[p]``.
        level: Median of each part, ``[p]``.
        error: Standard error of each median, ``[p]``.
        noise: Spread of single values around the course.
    """

    at: Floats
    level: Floats
    error: Floats
    noise: float


@dataclass(frozen=True, kw_only=True)
class Trend:
    """A line through a course.

    Attributes:
        slope: Per step.
        error: Standard error of the slope, from how far the levels lie from the line.
    """

    slope: float
    error: float

    @property
    def is_falling(self) -> bool:
        """Whether it falls beyond what the scatter could feign."""
        return self.slope < -SURE * self.error and self.slope < 0

    @property
    def is_rising(self) -> bool:
        """Whether it rises beyond what the scatter could feign."""
        return self.slope > SURE * self.error and self.slope > 0


def finite(steps: ArrayLike, values: ArrayLike) -> tuple[Floats, Floats]:
    """Return the steps and values where the value is finite."""
    at, value = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    is_told = np.isfinite(value)
    return at[is_told], value[is_told]


def noise_of(values: Floats) -> float:
    """Return the spread of single values, from differences of neighbours, so that no trend counts; 0 below two."""
    if len(values) < 2:
        return 0.0
    differences = np.diff(values)
    return float(NORMAL_MAD * np.median(np.abs(differences - np.median(differences))) / np.sqrt(2))


def course(steps: ArrayLike, values: ArrayLike, parts: int = 10) -> Course | None:
    """Return the course of a series in parts of equal numbers of values; None if there are too few values.

    Args:
        steps: Rising, ``[n]``.
        values: NaN where nothing was told, ``[n]``.
        parts: At most so many; fewer where a part would hold less than three values.
    """
    at, value = finite(steps, values)
    parts = min(parts, len(value) // LEAST_PER_PART)
    if parts < 2:
        return None
    places = np.array_split(np.arange(len(value)), parts)
    spreads = np.array([noise_of(value[part]) for part in places])
    counts = np.array([len(part) for part in places])
    return Course(
        at=np.array([at[part].mean() for part in places]),
        level=np.array([np.median(value[part]) for part in places]),
        error=MEDIAN_EFFICIENCY * spreads / np.sqrt(counts),
        noise=noise_of(value),
    )


def trend(steps: ArrayLike, values: ArrayLike, parts: int = 8) -> Trend | None:
    """Return the line through the course of a series; None if there are too few values for three parts."""
    found = course(steps, values, parts)
    if found is None or len(found.level) < 3:
        return None
    measured = float((found.error**2).mean())  # levels may lie on the line by chance
    return line_through(found.at, found.level, least_variance=measured)


def line_through(steps: Floats, values: Floats, *, least_variance: float = 0.0) -> Trend:
    """Return the line of least squares through three values or more.

    Args:
        steps: ``[n]``.
        values: ``[n]``.
        least_variance: Of single values; more if they lie farther from the line.
    """
    at, level = steps - steps.mean(), values - values.mean()
    across = float((at**2).sum())
    slope = float((at * level).sum()) / across
    scatter = float(((level - slope * at) ** 2).sum()) / (len(at) - 2)
    return Trend(slope=slope, error=float(np.sqrt(max(scatter, least_variance) / across)))


def running_median(values: Floats, width: int) -> Floats:
    """Return the median of each value and the ``width - 1`` before it; of fewer at the start."""
    padded = np.concatenate([np.full(min(width, len(values)) - 1, np.nan), values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, min(width, len(values)))
    return np.asarray(np.nanmedian(windows, axis=1), np.float64)


def rank_correlation(first: Floats, second: Floats) -> float:
    """Return Spearman's rank correlation; 0 where one does not change."""
    ranks = [_ranks(values) for values in (first, second)]
    spreads = [float(rank.std()) for rank in ranks]
    if min(spreads) == 0:
        return 0.0
    centred = [rank - rank.mean() for rank in ranks]
    return float((centred[0] * centred[1]).mean()) / (spreads[0] * spreads[1])


def _ranks(values: Floats) -> Floats:
    """Return ranks, ties at their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[place], np.float64)
