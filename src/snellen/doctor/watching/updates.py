"""How far weights move, and how strong their gradients are, through depth and time."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from snellen.doctor.check import NotCheckable
from snellen.doctor.finding import Treatment
from snellen.doctor.watching.curves import Floats
from snellen.doctor.watching.outcome import weight_columns
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = [
    "LEAST_SAMPLES",
    "Ratios",
    "lasting",
    "late",
    "need_samples",
    "relative_gradients",
    "update_ratios",
    "whole",
    "with_rate",
]

Kind = TypeVar("Kind", bound=np.generic)

LEAST_SAMPLES = 3  # in a row, before anything is a warning
SAME = 1e-3  # relative difference of gradients that were all cut to one length
CLIPPED_SHARE = 0.5  # of the samples
LEAST_RMS = 1e-4  # of a weight; layers that begin at zero have no ratio worth looking at


@dataclass(frozen=True, kw_only=True, eq=False)
class Ratios:
    """Sizes beside the sizes of the weights; ``m`` samples, ``p`` weights.

    Attributes:
        columns: Which parameters of the trace, ``[p]``.
        values: NaN where there was nothing to compare, ``[m, p]``.
    """

    columns: NDArray[np.int64]
    values: Floats


def need_samples(count: int) -> None:
    """Refuse to judge fewer samples than three.

    Raises:
        NotCheckable: If there are fewer.
    """
    if count < LEAST_SAMPLES:
        raise NotCheckable(
            Text(
                en=f"{count} steps were looked at closely; {LEAST_SAMPLES} are the least: train longer (in a loop of "
                "your own, watch(…, every=…) looks more often)",
                zh=f"只细看了 {count} 步；至少需要 {LEAST_SAMPLES} 步：请延长训练"
                "（在自己的循环中可用 watch(…, every=…) 更频繁地细看）",
            )
        )


def update_ratios(trace: Trace) -> Ratios:
    """Return the change of each weight in a step over its size; parameters that never change are left out."""
    columns = [place for place in weight_columns(trace) if np.nanmax(trace.update[:, place], initial=0) > 0]
    return _over_weights(trace, trace.update, columns)


def relative_gradients(trace: Trace) -> Ratios:
    """Return the gradient of each weight over its size; parameters without gradients are left out."""
    columns = [place for place in weight_columns(trace) if np.isfinite(trace.gradient[:, place]).any()]
    return _over_weights(trace, trace.gradient, columns)


def _over_weights(trace: Trace, sizes: NDArray[np.float32], columns: list[int]) -> Ratios:
    numbers = np.array([np.prod(trace.parameters[place].shape) for place in columns], np.float64)
    weight = trace.weight[:, columns].astype(np.float64)
    usable = weight > LEAST_RMS * np.sqrt(numbers)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(usable, sizes[:, columns] / weight, np.nan)
    return Ratios(columns=np.array(columns, np.int64), values=values)


def whole(sizes: NDArray[np.float32]) -> Floats:
    """Return the 2-norm of all parameters together in each sample, ``[m]``; NaN where none was told."""
    squares = sizes.astype(np.float64) ** 2
    return np.where(np.isfinite(squares).any(1), np.sqrt(np.nansum(squares, 1)), np.nan)


def late(values: NDArray[Kind]) -> NDArray[Kind]:
    """Return the last third of the samples, three at least, of ``[m, ...]``."""
    return values[-max(LEAST_SAMPLES, len(values) // 3) :]


def lasting(values: Floats) -> Floats:
    """Return what three samples in a row at least reach, for each three in a row: ``[m - 2, ...]`` of ``[m, ...]``."""
    windows = [values[start : len(values) - LEAST_SAMPLES + 1 + start] for start in range(LEAST_SAMPLES)]
    lowest: Floats = np.min(np.stack(windows), axis=0)
    return lowest


def clipped_share(trace: Trace) -> float:
    """Return the share of samples whose whole gradient is exactly as long as the longest that is usual."""
    sizes = whole(trace.gradient)
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    return float((np.abs(sizes / np.quantile(sizes, 0.75) - 1) < SAME).mean()) if len(sizes) else 0.0


def usual_rate(trace: Trace) -> float:
    """Return the change over the gradient, where gradients are largest: there weight decay counts least; 0 if none."""
    columns = weight_columns(trace)
    gradient, update = (table[:, columns].astype(np.float64) for table in (trace.gradient, trace.update))
    is_told = np.isfinite(gradient) & np.isfinite(update) & (gradient > 0) & (update > 0)
    if not is_told.any():
        return 0.0
    largest = is_told & (gradient >= np.quantile(gradient[is_told], 0.75))
    return float(np.median(update[largest] / gradient[largest]))


def with_rate(trace: Trace, times: float) -> Treatment | None:
    """Return the treatment that multiplies the peak rate; None where no rate was told."""
    peak = float(np.nanmax(trace.rates, initial=0))
    return Treatment(settings={"lr": float(f"{peak * times:.2g}")}) if peak > 0 else None
