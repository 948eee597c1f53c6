"""Axes: from numbers to places on a chart, and which numbers to write beside it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from snellen.report.formatting import tick_text

__all__ = ["Scale", "finite_range", "linear_scale", "log_scale", "nice_step"]

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)  # steps that people count in


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """One axis.

    Attributes:
        low: Number at its start.
        high: Number at its end.
        ticks: Numbers to be marked, rising.
        labels: What to write at each tick.
        is_log: Whether equal distances are equal ratios.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    is_log: bool = False

    def place(self, value: float | int) -> float:
        """Return where ``value`` lies: 0 at the start of the axis, 1 at its end."""
        if self.is_log:
            low, high = math.log10(self.low), math.log10(self.high)
            return (math.log10(max(value, self.low)) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)


def nice_step(span: float | int, count: int) -> float:
    """Return a round distance so that about ``count`` steps of it cover ``span`` (which is positive)."""
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor for factor in _NICE if factor * power >= rough * (1 - 1e-9)) * power


def finite_range(values: Iterable[float | int]) -> tuple[float | int, float | int] | None:
    """Return the lowest and the highest finite value, or None if there is none."""
    finite = [value for value in values if math.isfinite(value)]
    return (min(finite), max(finite)) if finite else None


def linear_scale(low: float | int, high: float | int, *, count: int = 5, is_snug: bool = False) -> Scale:
    """Return an axis from ``low`` to ``high`` with round ticks.

    Args:
        low: Lowest number to show.
        high: Highest number to show, not below ``low``.
        count: About how many steps.
        is_snug: True keeps the ends where they are; False moves them out to the next ticks.
    """
    if high - low <= abs(high) * 1e-12:
        margin = abs(high) * 0.5 or 0.5
        low, high = low - margin, high + margin
    step = nice_step(high - low, count)
    if not is_snug:
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = tuple(number * step for number in range(first, last + 1))
    return Scale(low=float(low), high=float(high), ticks=ticks, labels=tuple(tick_text(tick, step) for tick in ticks))


def log_scale(low: float | int, high: float | int, *, most: int = 7) -> Scale:
    """Return a logarithmic axis that spans at least one decade; both ends must be positive."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    stride = max(1, math.ceil((last - first) / most))
    powers = range(first, last + 1, stride)
    factors = (1, 2, 5) if last - first <= 2 else (1,)
    ticks = tuple(factor * 10.0**power for power in powers for factor in factors if factor * 10.0**power <= 10.0**last)
    labels = tuple(tick_text(tick, tick) for tick in ticks)
    return Scale(low=10.0**first, high=10.0**last, ticks=ticks, labels=labels, is_log=True)
