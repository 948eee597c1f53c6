"""How much of each colour an image holds, as a whole and in its parts."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8

from snellen.errors import ConfigError
from snellen.imaging.colour_spaces import hsv, lab

__all__ = ["ColourSpec", "colour_histogram"]

_SPACES = {"hsv": hsv, "lab": lab}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourSpec:
    """How colours are counted.

    Attributes:
        space: ``hsv``, or ``lab``, in which equal distances look about equally different.
        bins: Of each of the three channels; they are counted jointly.
        levels: Of the spatial pyramid: level ``l`` has 2^l × 2^l parts; 1 is the image as a whole.
    """

    space: Literal["hsv", "lab"] = "hsv"
    bins: tuple[int, int, int] = (8, 4, 4)
    levels: int = 2

    def __post_init__(self) -> None:
        """Refuse what makes no histogram.

        Raises:
            ConfigError: If a count is out of range or the space is unknown.
        """
        object.__setattr__(self, "bins", tuple(self.bins))
        counts = (*self.bins, self.levels)
        if len(list(self.bins)) != 3 or any(type(count) is not int or count < 1 for count in counts):
            raise ConfigError(
                "bins must be three whole numbers of 1 or more and levels one of them; got "
                f"{self.bins} and {self.levels}. The usual ones are (8, 4, 4) and 2."
            )
        if self.space not in _SPACES:
            raise ConfigError(f"space must be one of {', '.join(map(repr, _SPACES))}; got {self.space!r}.")

    @property
    def num_parts(self) -> int:
        """Histograms of an image."""
        return sum(4**level for level in range(self.levels))


def colour_histogram(
    image: UInt8[np.ndarray, "height width 3"], spec: ColourSpec | None = None
) -> Float32[np.ndarray, " parts_times_bins"]:
    """Return the share of each colour in each part of an image, one part after the other; each part sums to 1.

    Args:
        image: RGB. A part of an image that is smaller than the grid of parts holds at least one pixel.
        spec: How; None for HSV in 8 × 4 × 4 bins, of the whole and of its quarters.

    Source:
        Swain and Ballard 1991, Color indexing, section 2; parts as in Lazebnik et al. 2006, section 3.2, without the
        weights of its match kernel.
    """
    spec = spec or ColourSpec()
    channels = _SPACES[spec.space](image).astype(np.int64)  # [3, height, width]
    code = np.zeros(image.shape[:2], np.int64)
    for channel, bins in zip(channels, spec.bins, strict=True):
        code = code * bins + channel * bins // 256
    num_bins = int(np.prod(spec.bins))
    parts = []
    for level in range(spec.levels):
        rows, columns = _edges(len(code), 2**level), _edges(code.size // len(code), 2**level)
        for top, bottom in rows:
            for left, right in columns:
                counts = np.bincount(code[top:bottom, left:right].ravel(), minlength=num_bins)
                parts.append(counts / counts.sum())
    return np.concatenate(parts).astype(np.float32)


def _edges(side: int, parts: int) -> list[tuple[int, int]]:
    """Return start and stop of each part along a side."""
    starts = [min(side * part // parts, side - 1) for part in range(parts)]
    return [(start, max(start + 1, side * (part + 1) // parts)) for part, start in enumerate(starts)]
