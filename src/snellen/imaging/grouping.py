"""Hierarchical grouping of regions by similarity, many hierarchies in step.

Regions of all hierarchies stand in shared arrays. In every step each hierarchy merges its most similar pair, and the
new similarities of all of them are one expression: numpy's overhead is paid once a step, not once a merge.

Shapes: R initial regions of a hierarchy, N regions of it at the end (2R - 1), P pairs, D bins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from snellen.imaging.region_features import RegionFeatures

__all__ = ["Hierarchy", "Similarity", "group_regions"]

# Hierarchies that hold more regions than this together are merged in several turns; 315 bins of 4 bytes each.
REGIONS_AT_ONCE = 100_000
PAIRS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """Which measures are added up, each from 0 to 1.

    Attributes:
        colour: Whether the overlap of colour histograms counts.
        texture: Whether the overlap of texture histograms counts.
        size: Whether small regions are more similar.
        fill: Whether regions that fill their common box are more similar.

    Source:
        Uijlings et al. 2013, equation 7.
    """

    colour: bool = False
    texture: bool = False
    size: bool = False
    fill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hierarchy:
    """Every region that ever existed: first the initial ones, then in order of their merging.

    Attributes:
        boxes: xyxy in pixels; the last one is the whole image.
        sizes: Pixels of each region.
        children: The two regions of which region R + row was made.
    """

    boxes: Int64[np.ndarray, "num_regions 4"]
    sizes: Int64[np.ndarray, " num_regions"]
    children: Int64[np.ndarray, "num_merges 2"]


def group_regions(tasks: Sequence[tuple[RegionFeatures, Similarity]]) -> list[Hierarchy]:
    """Merge the most similar neighbours until one region is left, for each segmentation and similarity.

    Args:
        tasks: Initial regions, and what makes two of them similar.

    Returns:
        A hierarchy for each task. Where two pairs are equally similar, the one with older regions is merged first.

    Source:
        Uijlings et al. 2013, algorithm 1 and equations 1 to 7.
    """
    found: list[Hierarchy] = []
    for start, stop in _turns([2 * len(features) - 1 for features, _ in tasks]):
        forest = _Forest(tasks[start:stop])
        while forest.merge():
            pass
        found += forest.hierarchies()
    return found


def _turns(counts: Sequence[int]) -> Iterable[tuple[int, int]]:
    start, total = 0, 0
    for row, count in enumerate(counts):
        if row > start and total + count > REGIONS_AT_ONCE:
            yield start, row
            start, total = row, 0
        total += count
    if counts:
        yield start, len(counts)


class _Forest:
    """Hierarchies that grow in step; region numbers run through all of them."""

    def __init__(self, tasks: Sequence[tuple[RegionFeatures, Similarity]]) -> None:
        counts = np.array([2 * len(features) - 1 for features, _ in tasks])
        self.starts = [0, *np.cumsum(counts).tolist()]
        self.initial = [len(features) for features, _ in tasks]
        total = self.starts[-1]
        self.tree = np.repeat(np.arange(len(tasks)), counts)
        self.sizes = np.zeros(total, dtype=np.int64)
        self.boxes = np.zeros((total, 4), dtype=np.int64)
        self.bins = _empty_bins(tasks, total)
        self.ones = np.ones(self.bins.shape[1], dtype=np.float32)
        self.by_size = np.array([similarity.size for _, similarity in tasks], dtype=np.float64)
        self.by_fill = np.array([similarity.fill for _, similarity in tasks], dtype=np.float64)
        self.areas = np.array([features.area for features, _ in tasks], dtype=np.float64)
        self.next = [start + count for start, count in zip(self.starts, self.initial, strict=False)]
        self.alive = bytearray(total)
        self.neighbours: list[set[int]] = [set() for _ in range(total)]
        self.children: list[list[tuple[int, int]]] = [[] for _ in tasks]
        self.heaps = [self._plant(row, *task) for row, task in enumerate(tasks)]

    def _plant(self, row: int, features: RegionFeatures, similarity: Similarity) -> list[tuple[float, int, int]]:
        start, count = self.starts[row], len(features)
        self.sizes[start : start + count] = features.sizes
        self.boxes[start : start + count] = features.boxes
        if similarity.colour:
            self.bins[start : start + count, : features.colour.shape[1]] = features.colour
        if similarity.texture:
            self.bins[start : start + count, self.bins.shape[1] - features.texture.shape[1] :] = features.texture
        self.alive[start : start + count] = b"\x01" * count
        pairs = features.pairs + start
        for first, second in pairs.tolist():
            self.neighbours[first].add(second)
            self.neighbours[second].add(first)
        heap = []
        for part in np.split(pairs, range(PAIRS_AT_ONCE, len(pairs), PAIRS_AT_ONCE)):
            scores = self._similarity(part[:, 0], part[:, 1])
            heap += list(zip((-scores).tolist(), *part.T.tolist(), strict=True))
        heapify(heap)
        return heap

    def merge(self) -> bool:
        """Merge one pair of every hierarchy; return whether there was any."""
        merged: list[tuple[int, int, int]] = []
        touched: list[int] = []
        counts: list[int] = []
        rows: list[int] = []
        for row, heap in enumerate(self.heaps):
            pair = self._best(heap)
            if pair is None:  # one region is left
                continue
            around = self._join(row, *pair)
            merged.append((*pair, self.next[row] - 1))
            touched += around
            counts.append(len(around))
            rows.append(row)
        if not merged:
            return False
        first, second, new = np.array(merged).T
        self._measure(first, second, new)
        if touched:
            scores = self._similarity(np.repeat(new, counts), np.array(touched)).tolist()
            self._push(rows, new.tolist(), counts, touched, scores)
        return True

    def _best(self, heap: list[tuple[float, int, int]]) -> tuple[int, int] | None:
        alive = self.alive
        while heap:
            _, first, second = heappop(heap)
            if alive[first] and alive[second]:
                return first, second
        return None

    def _join(self, row: int, first: int, second: int) -> list[int]:
        """Put a new region in the place of two; return its neighbours."""
        new = self.next[row]
        self.next[row] = new + 1
        self.alive[first] = self.alive[second] = 0
        self.alive[new] = 1
        around = self.neighbours[first] | self.neighbours[second]
        around.discard(first)
        around.discard(second)
        self.neighbours[first] = self.neighbours[second] = set()
        self.neighbours[new] = around
        for other in around:
            theirs = self.neighbours[other]
            theirs.discard(first)
            theirs.discard(second)
            theirs.add(new)
        self.children[row].append((first, second))
        return sorted(around)

    def _push(
        self, rows: list[int], new: list[int], counts: list[int], touched: list[int], scores: list[float]
    ) -> None:
        position = 0
        for row, region, count in zip(rows, new, counts, strict=True):
            heap = self.heaps[row]
            for place in range(position, position + count):
                heappush(heap, (-scores[place], touched[place], region))
            position += count

    def _measure(self, first: NDArray[np.int64], second: NDArray[np.int64], new: NDArray[np.int64]) -> None:
        sizes = self.sizes[first] + self.sizes[second]
        share = (self.sizes[first] / sizes).astype(np.float32)[:, None]
        merged = self.bins.take(first, axis=0)
        others = self.bins.take(second, axis=0)
        merged -= others
        merged *= share
        merged += others
        self.bins[new] = merged
        self.sizes[new] = sizes
        self.boxes[new, :2] = np.minimum(self.boxes[first, :2], self.boxes[second, :2])
        self.boxes[new, 2:] = np.maximum(self.boxes[first, 2:], self.boxes[second, 2:])

    def _similarity(
        self, first: Int64[np.ndarray, " num_pairs"], second: Int64[np.ndarray, " num_pairs"]
    ) -> Float64[np.ndarray, " num_pairs"]:
        tree = self.tree[first]
        areas = self.areas[tree]
        sizes = self.sizes[first] + self.sizes[second]
        sides = np.maximum(self.boxes[first, 2:], self.boxes[second, 2:])
        sides -= np.minimum(self.boxes[first, :2], self.boxes[second, :2])
        common = self.bins.take(first, axis=0)
        np.minimum(common, self.bins.take(second, axis=0), out=common)
        shared = (common @ self.ones).astype(np.float64)  # a product with ones is the fastest sum of rows
        shared += self.by_size[tree] * (1 - sizes / areas)
        shared += self.by_fill[tree] * (1 - (sides[:, 0] * sides[:, 1] - sizes) / areas)
        return shared

    def hierarchies(self) -> list[Hierarchy]:
        """Return what has grown."""
        return [
            Hierarchy(
                boxes=self.boxes[start:stop].copy(),
                sizes=self.sizes[start:stop].copy(),
                children=np.array(pairs, dtype=np.int64).reshape(-1, 2) - start,
            )
            for start, stop, pairs in zip(self.starts[:-1], self.starts[1:], self.children, strict=True)
        ]


def _empty_bins(tasks: Sequence[tuple[RegionFeatures, Similarity]], total: int) -> Float32[np.ndarray, "total bins"]:
    """Room for the histograms; a measure that does not count stays zero and so adds nothing."""
    colour = max((features.colour.shape[1] for features, similarity in tasks if similarity.colour), default=0)
    texture = max((features.texture.shape[1] for features, similarity in tasks if similarity.texture), default=0)
    return np.zeros((total, colour + texture), dtype=np.float32)
