"""An image cut into regions, and what all ways of cutting share.

Shapes: R regions, S sides.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64, Integer
from numpy.typing import NDArray

__all__ = ["Partition", "adjacent_pairs", "inner_regions", "partition_of", "region_means", "region_sizes"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Partition:
    """Regions that cover an image.

    Attributes:
        labels: Number of each pixel's region, 0..R-1; every number occurs.
        sides: What the method itself says of each region, such as 0 for dark and 1 for bright, or the class of its
            seed; None where it only cuts and says nothing.
    """

    labels: Int32[np.ndarray, "height width"]
    sides: Int32[np.ndarray, " R"] | None = None

    @property
    def num_regions(self) -> int:
        """How many regions there are."""
        return int(self.labels.max(initial=-1)) + 1

    def side_map(self) -> Int32[np.ndarray, "height width"]:
        """Return the side of each pixel; the number of its region where the method says nothing."""
        return self.labels if self.sides is None else self.sides[self.labels]


def partition_of(labels: Integer[np.ndarray, "height width"], *, is_sides: bool = False) -> Partition:
    """Return the regions of a map of any whole numbers, numbered anew in their order.

    Args:
        labels: Equal numbers are one region, whether they touch or not.
        is_sides: Whether the numbers mean something, and are kept as sides.
    """
    numbers, inverse = np.unique(labels, return_inverse=True)
    regions = inverse.reshape(labels.shape).astype(np.int32)
    return Partition(labels=regions, sides=numbers.astype(np.int32) if is_sides else None)


def region_sizes(labels: Integer[np.ndarray, "height width"]) -> Int64[np.ndarray, " R"]:
    """Return the number of pixels of each region."""
    return np.bincount(labels.ravel())


def region_means(
    labels: Integer[np.ndarray, "height width"], values: NDArray[np.floating]
) -> Float64[np.ndarray, "R channels"]:
    """Return the mean of each channel over each region.

    Args:
        labels: 0..R-1; every number occurs.
        values: Of each pixel, [height, width, channels].
    """
    flat = labels.ravel()
    sums = [np.bincount(flat, weights=values[..., channel].ravel()) for channel in range(values.shape[-1])]
    return np.asarray(np.stack(sums, axis=1) / region_sizes(labels)[:, None])


def adjacent_pairs(labels: Integer[np.ndarray, "height width"]) -> Int64[np.ndarray, "pairs 2"]:
    """Return which regions touch: pairs of numbers, the smaller first, over the sides of pixels."""
    across = np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()], axis=1)
    down = np.stack([labels[:-1].ravel(), labels[1:].ravel()], axis=1)
    pairs = np.sort(np.concatenate([across, down]).astype(np.int64), axis=1)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


def inner_regions(labels: Integer[np.ndarray, "height width"]) -> Bool[np.ndarray, " R"]:
    """Return which regions lie rather inside than at the frame: their share of the frame is below that of the area.

    Of two regions it is exactly one, unless both have equal shares; then it is none.

    Args:
        labels: 0..R-1; every number occurs.

    Source:
        The boundary prior of Wei et al. 2012, "Geodesic saliency using background priors", section 2.1.
    """
    frame = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    sizes = region_sizes(labels)
    at_frame = np.bincount(frame, minlength=len(sizes))
    return np.asarray(at_frame * labels.size < sizes * len(frame))
