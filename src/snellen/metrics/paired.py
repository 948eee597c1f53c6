"""What a difference is worth: intervals of paired differences, over repeated trainings and over images."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from jaxtyping import Float
from scipy import special

from snellen.errors import InputError
from snellen.metrics.intervals import RESAMPLES

__all__ = ["Interval", "mean_interval", "paired_interval", "resampled_interval"]

_LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with the ends of its 95 % interval.

    Attributes:
        mean: Of the values.
        low: End of the interval; nan where one value says nothing of its spread.
        high: The other end.
        count: Values that it was made from.
        p_value: Two-sided, of no difference at all; nan where there is no interval.
    """

    mean: float
    low: float = float("nan")
    high: float = float("nan")
    count: int = 0
    p_value: float = float("nan")

    @property
    def is_above_zero(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0

    @property
    def is_below_zero(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.high < 0


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of repeated measurements with Student's interval.

    Args:
        values: One for each repetition; those that are not finite are left out.

    Source:
        Student 1908, The probable error of a mean, https://doi.org/10.1093/biomet/6.1.1.
    """
    known = np.array([value for value in values if isfinite(value)], np.float64)
    if not len(known):
        return Interval(mean=float("nan"))
    mean = float(known.mean())
    if len(known) < 2:
        return Interval(mean=mean, count=len(known))
    error = float(known.std(ddof=1)) / sqrt(len(known))
    if error == 0:
        return Interval(mean=mean, low=mean, high=mean, count=len(known), p_value=1.0 if mean == 0 else 0.0)
    half = float(special.stdtrit(len(known) - 1, (1 + _LEVEL) / 2)) * error
    p_value = 2 * float(special.stdtr(len(known) - 1, -abs(mean) / error))
    return Interval(mean=mean, low=mean - half, high=mean + half, count=len(known), p_value=p_value)


def paired_interval(treated: Sequence[float], control: Sequence[float]) -> Interval:
    """Return the mean of ``treated - control`` over pairs that share a seed, with the interval of the paired t-test.

    What all runs of a seed have in common (first weights, order of the images) cancels in each difference.

    Args:
        treated: One for each seed.
        control: Of the same seeds, in the same order.

    Raises:
        InputError: If they are not equally many.

    Source:
        Student 1908; for trainings Bouthillier et al. 2021, Accounting for variance in machine learning benchmarks,
        section 4, https://arxiv.org/abs/2103.03098.
    """
    if len(treated) != len(control):
        raise InputError(f"pairs need as many of each; got {len(treated)} and {len(control)}. Give the same seeds.")
    return mean_interval([one - other for one, other in zip(treated, control, strict=True)])


def resampled_interval(
    differences: Float[np.ndarray, "seeds images"], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the mean of differences for each image with its percentile interval over images.

    Seeds are averaged first: the interval tells how the difference would come out on other images of the same kind,
    with these trainings.

    Args:
        differences: Treated less control, for the same images.
        resamples: How often images are drawn with replacement.
        seed: Of the draws.

    Returns:
        The p-value is twice the smaller share of resampled means on one side of 0, ties counted half.

    Raises:
        InputError: If there is no image.

    Source:
        Efron and Tibshirani 1993, An introduction to the bootstrap, sections 13.3 and 15.4.
    """
    if differences.ndim != 2 or not differences.size:
        raise InputError(f"differences must be [seeds, images], at least one; got shape {differences.shape}.")
    values = differences.astype(np.float64).mean(axis=0)
    generator = np.random.default_rng(seed)
    # Counts of each image in a draw are multinomial: the same draws as rows with replacement, without the rows.
    counts = generator.multinomial(len(values), np.full(len(values), 1 / len(values)), size=resamples)
    means = counts @ values / len(values)
    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    below = float((means < 0).mean() + (means == 0).mean() / 2)
    return Interval(
        mean=float(values.mean()),
        low=float(low),
        high=float(high),
        count=len(values),
        p_value=min(1.0, 2 * min(below, 1 - below)),
    )
