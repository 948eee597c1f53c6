"""Local binary patterns: which neighbours of a pixel are at least as bright as it is."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from snellen.errors import ConfigError

__all__ = ["NUM_PATTERNS", "PatternSpec", "pattern_histogram"]

_NEIGHBOURS = 8
NUM_PATTERNS = _NEIGHBOURS * (_NEIGHBOURS - 1) + 3  # 58 uniform patterns, and one for all others


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternSpec:
    """How local binary patterns are counted.

    Attributes:
        radius: Of the circle of eight neighbours, in pixels.
        grid: Parts along each side of the image, each with a histogram of its own.
    """

    radius: float = 1.0
    grid: int = 4

    def __post_init__(self) -> None:
        """Refuse what makes no histogram.

        Raises:
            ConfigError: If a number is out of range.
        """
        if type(self.grid) is not int or self.grid < 1 or isinstance(self.radius, bool) or self.radius <= 0:
            raise ConfigError(
                "grid must be a whole number of 1 or more and radius a number of pixels above 0; got "
                f"{self.grid!r} and {self.radius!r}. The usual ones are 4 and 1."
            )


def pattern_histogram(
    grey: UInt8[np.ndarray, "height width"], spec: PatternSpec | None = None
) -> Float32[np.ndarray, " parts_times_patterns"]:
    """Return the share of each uniform pattern in each part of an image, row by row; each part sums to 1.

    Args:
        grey: Of any size; parts without a pixel, in images smaller than the grid, have shares of 0.
        spec: How; None for eight neighbours at 1 px in 4 × 4 parts.

    Source:
        Ojala et al. 2002, section 2.3, through scikit-image; parts as in Ahonen et al. 2006, section 2.
    """
    from skimage.feature import local_binary_pattern  # noqa: PLC0415 - takes long to import

    spec = spec or PatternSpec()
    margin = ceil(spec.radius) + 1
    wide = np.pad(grey, margin, mode="edge")  # scikit-image takes what lies outside for black
    found: Any = local_binary_pattern(wide, _NEIGHBOURS, spec.radius, "nri_uniform")  # type: ignore[no-untyped-call]
    codes = found.astype(np.int64)
    codes = codes[margin:-margin, margin:-margin]
    rows, columns = (np.arange(side) * spec.grid // side for side in grey.shape)
    part = rows[:, None] * spec.grid + columns
    joint = np.bincount((part * NUM_PATTERNS + codes).ravel(), minlength=spec.grid**2 * NUM_PATTERNS)
    counts = joint.reshape(-1, NUM_PATTERNS)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    joined: np.ndarray = shares.astype(np.float32).ravel()
    return joined
