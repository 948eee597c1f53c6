"""Regions that grow from seeds, pixel by pixel, always where the image changes least."""

from collections.abc import Iterator
from heapq import heappop, heappush

import numpy as np
from jaxtyping import Float32, Int32, Integer
from numpy.typing import NDArray

from snellen.errors import InputError

__all__ = ["seeded_region_growing"]


def seeded_region_growing(
    pixels: Float32[np.ndarray, "height width channels"], seeds: Integer[np.ndarray, "height width"]
) -> Int32[np.ndarray, "height width"]:
    """Return the seed that every pixel was reached from.

    Of all pixels that touch a region, the one that differs least from the mean of that region joins first, and the
    mean moves with it; a pixel between two regions joins the nearer one. How much a pixel differs is written down when
    it first touches a region, as in the paper: the list is sorted once, and not with every mean that moves.

    Args:
        pixels: Of any scale.
        seeds: 0 where there is none; numbers above are regions, and the pixels of a number need not touch.

    Returns:
        Numbers of the seeds, on every pixel.

    Raises:
        InputError: If there is no seed.

    Source:
        Adams and Bischof 1994, "Seeded region growing", section II, on 8 neighbours. Differs: pixels between two
        regions are given to the nearer one (the paper marks them as boundary); several channels, by their Euclidean
        distance. Equal differences are served in the order in which they came.
    """
    if not (seeds > 0).any():
        raise InputError("seeds must mark at least one pixel with a number above 0; got none. Mark a place.")
    growth = _Growth(pixels, seeds)
    growth.run()
    height, width = seeds.shape
    return np.array(growth.labels, dtype=np.int32).reshape(height + 2, width + 2)[1:-1, 1:-1]


class _Growth:
    """The state of one growth, in Python's lists, whose single entries are read several times faster than numpy's.

    A frame of pixels that belong to no region goes around the image, so that every pixel has 8 neighbours.
    """

    def __init__(self, pixels: NDArray[np.float32], seeds: NDArray[np.integer]) -> None:
        channels = pixels.shape[2]
        stride = pixels.shape[1] + 2
        self.steps = (-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1)
        padded = np.pad(pixels.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
        self.values: list[list[float]] = padded.reshape(-1, channels).tolist()
        self.labels: list[int] = np.pad(np.maximum(seeds, 0), 1, constant_values=-1).ravel().tolist()
        self.is_open: list[bool] = np.pad(seeds <= 0, 1, constant_values=False).ravel().tolist()
        flat, values = seeds[seeds > 0], pixels[seeds > 0].astype(np.float64)
        self.sums = {int(label): values[flat == label].sum(axis=0).tolist() for label in np.unique(flat)}
        self.counts = {int(label): int((flat == label).sum()) for label in np.unique(flat)}
        self.heap: list[tuple[float, int, int]] = []
        self.arrivals = 0

    def run(self) -> None:
        """Let the regions grow until nothing is left."""
        for place, label in enumerate(self.labels):
            if label > 0:
                self._touch(place, label)
        while self.heap:
            _, _, place = heappop(self.heap)
            label = self._nearest(place)
            self.labels[place] = label
            sums = self.sums[label]
            for channel, value in enumerate(self.values[place]):
                sums[channel] += value
            self.counts[label] += 1
            self._touch(place, label)

    def _touch(self, place: int, label: int) -> None:
        """Put the free neighbours of a pixel into the list."""
        for step in self.steps:
            near = place + step
            if self.is_open[near]:
                self.is_open[near] = False
                self.arrivals += 1
                heappush(self.heap, (self._difference(near, label), self.arrivals, near))

    def _nearest(self, place: int) -> int:
        around = sorted(set(self._regions_around(place)))
        return (
            around.pop() if len(around) == 1 else min(sorted(around), key=lambda label: self._difference(place, label))
        )

    def _regions_around(self, place: int) -> Iterator[int]:
        for step in self.steps:
            if self.labels[place + step] > 0:
                yield self.labels[place + step]

    def _difference(self, place: int, label: int) -> float:
        """Return the squared distance of a pixel from the mean of a region, which orders as the distance does."""
        count = self.counts[label]
        return sum(
            ((value - total / count) ** 2 for value, total in zip(self.values[place], self.sums[label], strict=True)),
            start=0.0,
        )
