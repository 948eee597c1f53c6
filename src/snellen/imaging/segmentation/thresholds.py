"""Levels of a channel that part pixels: one for the whole image, several, or one for each place."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64, UInt8
from numpy.typing import NDArray

from snellen.errors import InputError

__all__ = [
    "AdaptiveRule",
    "adaptive_mask",
    "minimum_error_criterion",
    "minimum_error_threshold",
    "multi_otsu_thresholds",
    "otsu_threshold",
    "sides_by_levels",
    "triangle_threshold",
]

GrayImage = UInt8[np.ndarray, "height width"]
AdaptiveRule = Literal["mean", "gaussian", "sauvola"]
NUM_LEVELS = 256
# Of a level that is one unit wide: values are rounded, so that a side of one level has this variance and not 0.
WITHIN_A_LEVEL = 1 / 12  # levels squared; Sheppard 1898


def otsu_threshold(channel: GrayImage) -> float:
    """Return the level that leaves the greatest variance between the two sides; pixels above it are the bright side.

    Source:
        Otsu 1979, equation 18; scikit-image's implementation. An even image has its own level, so that all is dark.
    """
    from skimage.filters import threshold_otsu  # noqa: PLC0415 - scikit-image takes long to import, here and below

    if _is_even(channel):
        return float(channel.flat[0])
    return float(threshold_otsu(channel))  # type: ignore[no-untyped-call]  # scikit-image has no types


def multi_otsu_thresholds(channel: GrayImage, classes: int) -> Float64[np.ndarray, " levels"]:
    """Return the levels that leave the greatest variance between ``classes`` sides.

    An image with fewer different values than that is parted into those it has.

    Raises:
        InputError: If there are fewer than two sides.

    Source:
        Liao, Chen and Chung 2001, "A fast algorithm for multilevel thresholding"; scikit-image's implementation.
    """
    from skimage.filters import threshold_multiotsu  # noqa: PLC0415 - the same

    if classes < 2:
        raise InputError(f"classes must be 2 or more; got {classes}. One side needs no level.")
    values = np.unique(channel)
    if len(values) <= classes:
        return values[:-1].astype(np.float64)
    levels = threshold_multiotsu(channel, classes=classes)  # type: ignore[no-untyped-call]  # scikit-image has no types
    return np.asarray(levels, dtype=np.float64)


def triangle_threshold(channel: GrayImage) -> float:
    """Return the level farthest below the line from the histogram's peak to the end of its longer tail.

    Source:
        Zack, Rogers and Latt 1977, "Automatic measurement of sister chromatid exchange frequency"; scikit-image's
        implementation.
    """
    from skimage.filters import threshold_triangle  # noqa: PLC0415 - the same

    if _is_even(channel):
        return float(channel.flat[0])
    return float(threshold_triangle(channel))  # type: ignore[no-untyped-call]  # scikit-image has no types


def minimum_error_criterion(counts: Int64[np.ndarray, " levels"]) -> Float64[np.ndarray, " levels"]:
    """Return Kittler and Illingworth's criterion for a level at each value of a histogram; infinite for an empty side.

    Each side is taken for a Gaussian with the mean and spread of its pixels; the criterion falls with the share of
    pixels that the two tell apart. For equal spreads and shares its minimum is Otsu's level; for a small or a narrow
    side it is not.

    Args:
        counts: Pixels of each value.

    Source:
        Kittler and Illingworth 1986, "Minimum error thresholding", equation 15, natural logarithms. Differs: the
        variance that rounding to whole levels hides is added, or a side of a single level would always win.
    """
    values = np.arange(len(counts), dtype=np.float64)
    total = counts.sum()
    sums = np.stack([np.cumsum(counts * values**power) for power in (0, 1, 2)])  # up to and including each level
    parts = []
    for zeroth, first, second in (sums, sums[:, -1:] - sums):
        size = np.maximum(zeroth, 1)
        variance = np.maximum(second / size - (first / size) ** 2, 0) + WITHIN_A_LEVEL
        share = zeroth / max(total, 1)
        # ln of the spread is half of ln of the variance.
        parts.append(share * np.log(variance) - 2 * share * np.log(np.maximum(share, np.finfo(np.float64).tiny)))
    is_empty = (sums[0] == 0) | (sums[0] == total)
    return np.where(is_empty, np.inf, 1 + parts[0] + parts[1])


def minimum_error_threshold(channel: GrayImage) -> float:
    """Return the level of the least error of two Gaussians; pixels above it are the bright side.

    The criterion may fall towards the ends, where one side is a handful of pixels; so the lowest of its inner minima
    is taken, and the lowest value of all only where there is none.

    Source:
        Kittler and Illingworth 1986, sections 3 and 4.
    """
    if _is_even(channel):
        return float(channel.flat[0])
    low, high = int(channel.min()), int(channel.max())
    criterion = minimum_error_criterion(np.bincount(channel.ravel(), minlength=NUM_LEVELS))[low:high]
    inner = np.zeros(len(criterion), dtype=bool)
    inner[1:-1] = (criterion[1:-1] <= criterion[:-2]) & (criterion[1:-1] < criterion[2:])
    chosen = np.where(inner, criterion, np.inf) if inner.any() else criterion
    return float(low + int(np.argmin(chosen)))


def adaptive_mask(
    channel: GrayImage, *, rule: AdaptiveRule, window_px: int, offset: float = 0.0, deviation_share: float = 0.2
) -> Bool[np.ndarray, "height width"]:
    """Return which pixels are brighter than their surroundings.

    Args:
        channel: 0..255.
        rule: ``mean`` of the window, ``gaussian`` mean of it, or ``sauvola``: the mean, lowered where the window has
            little contrast.
        window_px: Side of the window; made odd.
        offset: What a pixel must have above the level.
        deviation_share: k of Sauvola.

    Source:
        Mean and Gaussian mean: Gonzalez and Woods, "Digital image processing", section 10.3.7. Sauvola and Pietikäinen
        2000, "Adaptive document image binarization", equation 5. scikit-image's implementations.
    """
    from skimage.filters import threshold_local, threshold_sauvola  # noqa: PLC0415 - the same

    values, window = channel.astype(np.float64), window_px | 1
    if rule == "sauvola":
        level = threshold_sauvola(  # type: ignore[no-untyped-call]  # scikit-image has no types
            values, window_size=window, k=deviation_share, r=NUM_LEVELS / 2
        )
    else:
        level = threshold_local(values, window, method=rule)  # type: ignore[no-untyped-call]  # scikit-image has no types
    return np.asarray(channel > level + offset)


def sides_by_levels(
    channel: GrayImage, levels: Float64[np.ndarray, " levels"] | tuple[float, ...]
) -> Int32[np.ndarray, "height width"]:
    """Return the side of each pixel: how many levels it lies above."""
    return np.searchsorted(np.asarray(levels), channel, side="left").astype(np.int32)


def _is_even(channel: NDArray[np.uint8]) -> bool:
    return bool(channel.min() == channel.max())
