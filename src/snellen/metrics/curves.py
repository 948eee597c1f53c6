"""Lines of curves with as many points as can be seen."""

import numpy as np
from jaxtyping import Float64

from snellen.structures import Series

__all__ = ["MAX_CURVE_POINTS", "thinned_series"]

MAX_CURVE_POINTS = 200  # of a line in a report; more cannot be seen


def thinned_series(
    name: str, x: Float64[np.ndarray, " n"], y: Float64[np.ndarray, " n"], *, most: int = MAX_CURVE_POINTS
) -> Series:
    """Return a line through at most ``most`` of its points, evenly spaced by their position, ends included."""
    places = np.unique(np.linspace(0, len(x) - 1, min(len(x), most)).round().astype(np.int64))
    return Series(name=name, x=tuple(x[places].tolist()), y=tuple(y[places].tolist()))
