"""What selective search knows of each initial region: size, box, histograms and neighbours.

Shapes: C channels, H rows, W columns, R regions, P pairs, D bins of all histograms.
"""

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from jaxtyping import Float32, Int8, Int64, UInt8
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

__all__ = ["COLOUR_BINS", "TEXTURE_BINS", "RegionFeatures", "neighbour_pairs", "region_features", "texture_codes"]

COLOUR_BINS = 25  # per channel; Uijlings et al. 2013, section 3.2
TEXTURE_BINS = 10  # per channel and orientation; the same
TEXTURE_SIGMA_PX = 1.0  # the same
ORIENTATIONS = 8  # the same
LARGEST_LEVEL = 255
# The derivative of a Gaussian of sigma 1 answers a step from 0 to 255 with 255 / sqrt(2 pi), about 102.
STRONGEST_EDGE = LARGEST_LEVEL / (sqrt(2 * pi) * TEXTURE_SIGMA_PX)

_SIGNED_BINS = 2 * TEXTURE_BINS - 1  # a derivative and its opposite share the bin of zero
_COLOUR_BIN = (np.arange(LARGEST_LEVEL + 1) * COLOUR_BINS // (LARGEST_LEVEL + 1)).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionFeatures:
    """Initial regions of one segmentation.

    Attributes:
        sizes: Pixels of each region.
        boxes: xyxy; the right and bottom edges are behind the last pixel.
        colour: Histograms of all channels in a row; each row sums to 1.
        texture: Histograms of all channels and orientations; each row sums to 1.
        pairs: Regions that touch, the smaller number first, each pair once.
        area: Pixels of the image.
    """

    sizes: Int64[np.ndarray, " num_regions"]
    boxes: Int64[np.ndarray, "num_regions 4"]
    colour: Float32[np.ndarray, "num_regions colour_bins"]
    texture: Float32[np.ndarray, "num_regions texture_bins"]
    pairs: Int64[np.ndarray, "num_pairs 2"]
    area: int

    def __len__(self) -> int:
        """Return the number of regions."""
        return len(self.sizes)


def region_features(
    labels: Int64[np.ndarray, "height width"],
    channels: UInt8[np.ndarray, "channels height width"],
    codes: Int8[np.ndarray, "filters height*width"],
) -> RegionFeatures:
    """Measure each region of a segmentation.

    Args:
        labels: 0..R-1, each in use.
        channels: The image in the colour space of the segmentation.
        codes: From `texture_codes` of the same channels.

    Source:
        Uijlings et al. 2013 (IJCV 104), section 3.2.
        Differs: texture bins divide 0..255/sqrt(2 pi), the response to a full step edge, evenly and stronger
        responses go into the last one; the paper does not say its range.
    """
    flat = labels.ravel()
    sizes = np.bincount(flat)
    return RegionFeatures(
        sizes=sizes,
        boxes=_boxes(labels, len(sizes)),
        colour=_normalised(_colour_counts(flat, channels, len(sizes))),
        texture=_normalised(_texture_counts(flat, codes, sizes)),
        pairs=neighbour_pairs(labels),
        area=labels.size,
    )


def texture_codes(channels: UInt8[np.ndarray, "channels height width"]) -> Int8[np.ndarray, "filters height*width"]:
    """Bin of the Gaussian derivative at each pixel, for each channel and four directions.

    A code from -9 to 9 is the bin of the response with the sign of the response; it holds both the derivative along
    a direction and the one along its opposite, so four directions make eight orientations. Directions are steered
    from two filters, which is exact for a first derivative.
    """
    rows = []
    for channel in channels.astype(np.float32) * np.float32(TEXTURE_BINS / STRONGEST_EDGE):
        across = _derivative(channel, axis=1)
        down = _derivative(channel, axis=0)
        rows += [across, (across + down) * np.float32(sqrt(0.5)), down, (down - across) * np.float32(sqrt(0.5))]
    limit = TEXTURE_BINS - 1
    # Casting cuts towards zero, and so puts (-1, 1) into the bin of zero.
    return np.clip(np.stack(rows).reshape(len(rows), -1), -limit, limit).astype(np.int8)


def neighbour_pairs(labels: Int64[np.ndarray, "height width"]) -> Int64[np.ndarray, "num_pairs 2"]:
    """Regions with pixels that touch at an edge or a corner, the smaller number first, sorted."""
    count = int(labels.max()) + 1
    sides = (
        (labels[:, :-1], labels[:, 1:]),
        (labels[:-1], labels[1:]),
        (labels[:-1, :-1], labels[1:, 1:]),
        (labels[:-1, 1:], labels[1:, :-1]),
    )
    keys = []
    for first, second in sides:
        differs = first != second
        one, other = first[differs], second[differs]
        keys.append(np.minimum(one, other) * count + np.maximum(one, other))
    return np.stack(np.divmod(np.unique(np.concatenate(keys)), count), axis=1)


def _derivative(channel: NDArray[np.float32], *, axis: int) -> NDArray[np.float32]:
    smooth: NDArray[np.float32] = gaussian_filter1d(channel, TEXTURE_SIGMA_PX, axis=1 - axis)
    slope: NDArray[np.float32] = gaussian_filter1d(smooth, TEXTURE_SIGMA_PX, axis=axis, order=1)
    return slope


def _boxes(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    height, width = labels.shape
    # The last assignment to an element stays, so running backwards keeps the first row of each region, and forwards
    # the last one.
    boxes = np.empty((count, 4), dtype=np.int64)
    rows = np.repeat(np.arange(height), width)
    boxes[labels.ravel()[::-1], 1] = rows[::-1]
    boxes[labels.ravel(), 3] = rows + 1
    columns = np.repeat(np.arange(width), height)
    turned = labels.T.ravel()
    boxes[turned[::-1], 0] = columns[::-1]
    boxes[turned, 2] = columns + 1
    return boxes


def _colour_counts(flat: NDArray[np.int64], channels: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    start = flat * COLOUR_BINS
    return np.concatenate(
        [
            np.bincount(start + _COLOUR_BIN[channel.ravel()], minlength=count * COLOUR_BINS).reshape(count, -1)
            for channel in channels
        ],
        axis=1,
    )


def _texture_counts(flat: NDArray[np.int64], codes: NDArray[np.int8], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    start = flat * _SIGNED_BINS + (TEXTURE_BINS - 1)
    parts = []
    for code in codes:
        counts = np.bincount(start + code, minlength=len(sizes) * _SIGNED_BINS).reshape(-1, _SIGNED_BINS)
        for strong in (counts[:, TEXTURE_BINS:], counts[:, TEXTURE_BINS - 2 :: -1]):
            parts += [(sizes - strong.sum(axis=1))[:, None], strong]
    return np.concatenate(parts, axis=1)


def _normalised(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), dtype=np.float32)
