"""Split and merge: quarters until every square is even, then neighbours joined while their union is.

Shapes: R regions, P pairs of neighbours.
"""

from heapq import heapify, heappop, heappush

import numpy as np
from jaxtyping import Float32, Float64, Int32, Integer
from numpy.typing import NDArray

from snellen.errors import InputError
from snellen.imaging.segmentation.partition import adjacent_pairs

__all__ = ["merged_regions", "quadtree_regions", "split_and_merge"]


def quadtree_regions(
    pixels: Float32[np.ndarray, "height width channels"], *, most_deviation: float, least_side_px: int = 1
) -> Int32[np.ndarray, "height width"]:
    """Cut an image into squares, each the largest of its quadtree that is even.

    The tree stands over the smallest square of a power of two around the image; what lies beyond the image counts
    for nothing, and squares are cut at its frame.

    Args:
        pixels: Of any scale.
        most_deviation: Standard deviation over the pixels and channels of a square up to which it is even.
        least_side_px: Side at which cutting ends; a power of two.

    Returns:
        The number of each pixel's square, 0..R-1, in the order of its first pixel.

    Raises:
        InputError: If the least side is no power of two.

    Source:
        Horowitz and Pavlidis 1976, "Picture segmentation by a tree traversal algorithm"; the quadtree of Klinger 1971.
        The test is of the deviation, where the paper compares the greatest and the least value of a square.
    """
    if least_side_px < 1 or least_side_px & (least_side_px - 1):
        raise InputError(f"least_side_px must be a power of two (1, 2, 4, …); got {least_side_px}.")
    height, width, _ = pixels.shape
    side = 1 << (max(height, width, least_side_px) - 1).bit_length()
    places = np.arange(side * side, dtype=np.int64).reshape(side, side)
    corner = np.full((side, side), -1, dtype=np.int64)  # first pixel of each pixel's square
    is_open = np.ones((1, 1), dtype=bool)
    while True:
        squares = side // len(is_open)  # pixels on a side
        is_leaf = (
            is_open & (_deviations(pixels, side, squares) <= most_deviation) if squares > least_side_px else is_open
        )
        first = places[::squares, ::squares]
        grown = np.kron(np.where(is_leaf, first, -1), np.ones((squares, squares), dtype=np.int64))
        corner = np.where(grown >= 0, grown, corner)
        is_open = is_open & ~is_leaf
        if not is_open.any():
            break
        is_open = np.kron(is_open, np.ones((2, 2), dtype=bool))
    _, numbers = np.unique(corner[:height, :width], return_inverse=True)
    return np.asarray(numbers.reshape(height, width), dtype=np.int32)


def _deviations(pixels: NDArray[np.float32], side: int, squares: int) -> Float64[np.ndarray, "rows columns"]:
    """Return the deviation of each square of a grid; 0 where it lies beyond the image."""
    height, width, channels = pixels.shape
    padded = np.zeros((side, side, channels + 1))
    padded[:height, :width, :channels] = pixels - pixels.mean(axis=(0, 1))  # about 0, so that squares keep their digits
    padded[:height, :width, channels] = 1
    number = side // squares
    tiles = padded.reshape(number, squares, number, squares, channels + 1)
    sums = tiles.sum(axis=(1, 3))
    powers = np.square(tiles[..., :channels]).sum(axis=(1, 3))
    counts = np.maximum(sums[..., channels:], 1)
    variances = powers / counts - np.square(sums[..., :channels] / counts)
    return np.asarray(np.sqrt(np.maximum(variances, 0).sum(axis=-1)))


def merged_regions(
    labels: Integer[np.ndarray, "height width"],
    pixels: Float32[np.ndarray, "height width channels"],
    *,
    most_deviation: float,
    least_px: int = 1,
) -> Int32[np.ndarray, "height width"]:
    """Join neighbours whose union is even, the most even union first; then what is too small with its likest neighbour.

    Args:
        labels: 0..R-1; every number occurs.
        pixels: Of any scale.
        most_deviation: Standard deviation over the pixels and channels of a union up to which it is even.
        least_px: Pixels of the smallest region that stays; smaller ones join the neighbour of the nearest mean.

    Returns:
        The number of each pixel's region, 0..R-1, in the order of their first pixels.

    Source:
        Horowitz and Pavlidis 1976. The paper leaves open which union comes first.
    """
    graph = _Merging(labels, pixels)
    graph.join_even(most_deviation**2)
    graph.join_small(least_px)
    return np.asarray(graph.numbers()[labels])


def split_and_merge(
    pixels: Float32[np.ndarray, "height width channels"],
    *,
    most_deviation: float,
    merge_deviation: float | None = None,
    least_side_px: int = 1,
    least_px: int = 1,
) -> Int32[np.ndarray, "height width"]:
    """Return even regions: squares that are even, joined while they stay so. See ``quadtree_regions``.

    Args:
        pixels: Of any scale.
        most_deviation: For a square.
        merge_deviation: For a union; None for the same as for a square.
        least_side_px: Side at which cutting ends.
        least_px: Pixels of the smallest region that stays.
    """
    squares = quadtree_regions(pixels, most_deviation=most_deviation, least_side_px=least_side_px)
    limit = most_deviation if merge_deviation is None else merge_deviation
    return merged_regions(squares, pixels, most_deviation=limit, least_px=least_px)


class _Merging:
    """Regions that are joined, with the sums that the evenness of a union is computed from."""

    def __init__(self, labels: NDArray[np.integer], pixels: NDArray[np.float32]) -> None:
        flat = labels.ravel()
        number = int(flat.max()) + 1
        values = (pixels - pixels.mean(axis=(0, 1))).reshape(len(flat), -1).astype(np.float64)
        columns = [np.bincount(flat, values[:, channel], number) for channel in range(values.shape[1])]
        self.counts: list[int] = np.bincount(flat, minlength=number).tolist()
        self.sums: list[list[float]] = np.stack(columns, axis=1).tolist()
        self.powers: list[float] = np.bincount(flat, np.square(values).sum(axis=1), number).tolist()
        self.parents = list(range(number))
        self.neighbours: list[set[int]] = [set() for _ in range(number)]
        for one, other in adjacent_pairs(labels).tolist():
            self.neighbours[one].add(other)
            self.neighbours[other].add(one)

    def join_even(self, most_variance: float) -> None:
        """Join pairs while a union has no more than ``most_variance``."""
        versions = [0] * len(self.parents)
        heap = [
            (variance, one, other, 0, 0)
            for one, around in enumerate(self.neighbours)
            for other in around
            if one < other and (variance := self._variance(one, other)) <= most_variance
        ]
        heapify(heap)
        while heap:
            _, one, other, version, other_version = heappop(heap)
            if (versions[one], versions[other]) != (version, other_version):
                continue
            self._join(one, other)
            versions[one] += 1
            versions[other] = -1
            for near in self.neighbours[one]:
                variance = self._variance(one, near)
                if variance <= most_variance:
                    heappush(heap, (variance, one, near, versions[one], versions[near]))

    def join_small(self, least_px: int) -> None:
        """Join regions of fewer pixels with the neighbour of the nearest mean, the smallest first."""
        heap = [
            (count, region)
            for region, count in enumerate(self.counts)
            if self.parents[region] == region and count < least_px
        ]
        heapify(heap)
        while heap:
            count, region = heappop(heap)
            if self.parents[region] != region or self.counts[region] != count or not self.neighbours[region]:
                continue
            near = min(sorted(self.neighbours[region]), key=lambda other: self._distance(region, other))
            self._join(near, region)
            if self.counts[near] < least_px:
                heappush(heap, (self.counts[near], near))

    def numbers(self) -> Int32[np.ndarray, " R"]:
        """Return the new number of each region there was."""
        roots = [self._root(region) for region in range(len(self.parents))]
        _, first, inverse = np.unique(roots, return_index=True, return_inverse=True)
        order = np.argsort(np.argsort(first))
        return order[inverse].astype(np.int32)

    def _root(self, region: int) -> int:
        while self.parents[region] != region:
            self.parents[region] = self.parents[self.parents[region]]
            region = self.parents[region]
        return region

    def _join(self, one: int, other: int) -> None:
        """Make ``other`` a part of ``one``."""
        self.parents[other] = one
        self.counts[one] += self.counts[other]
        self.sums[one] = [a + b for a, b in zip(self.sums[one], self.sums[other], strict=True)]
        self.powers[one] += self.powers[other]
        for near in self.neighbours[other]:
            self.neighbours[near].discard(other)
            if near != one:
                self.neighbours[near].add(one)
                self.neighbours[one].add(near)
        self.neighbours[other] = set()
        self.neighbours[one].discard(other)

    def _variance(self, one: int, other: int) -> float:
        count = self.counts[one] + self.counts[other]
        means = sum(((a + b) / count) ** 2 for a, b in zip(self.sums[one], self.sums[other], strict=True))
        return (self.powers[one] + self.powers[other]) / count - means

    def _distance(self, one: int, other: int) -> float:
        return sum(
            (a / self.counts[one] - b / self.counts[other]) ** 2
            for a, b in zip(self.sums[one], self.sums[other], strict=True)
        )
