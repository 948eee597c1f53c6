"""Probabilities of overlapping tiles, faded into one another as they come."""

from collections.abc import Iterable, Sequence
from math import pi
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from snellen.errors import InputError
from snellen.evaluation.pixel_scores import PixelScores, pixel_probs, said_anew
from snellen.evaluation.tiles import Tile
from snellen.structures import Model, SegmentationMap

__all__ = ["blended_map", "long_axis", "tile_window"]


class _Strip:
    """The sums of the part of the image on which tiles still come, across the whole of its shorter side.

    Args:
        size: Height and width of the image.
        axis: Along which tiles come, 0 or 1.
    """

    def __init__(self, size: tuple[int, int], axis: int) -> None:
        self.size = size
        self.axis = axis
        self.start = 0  # of the strip, along the axis
        self.sums: Tensor | None = None  # [classes, height, width] of the strip
        self.weights: Tensor | None = None

    def add(self, probs: Float[Tensor, "num_classes _ _"], tile: Tile, window: Float[Tensor, "_ _"]) -> None:
        """Add what a tile says; tiles come in rising order along the axis."""
        end = (tile.bottom, tile.right)[self.axis]
        self._reach(end, probs)
        if self.sums is None or self.weights is None:
            return
        place = self._place(tile)
        self.sums[:, place[0], place[1]] += probs * window
        self.weights[place] += window

    def taken(self, until: int) -> Tensor | None:
        """Return the mean probabilities up to a place along the axis, and forget them."""
        if self.sums is None or self.weights is None or until <= self.start:
            return None
        length = until - self.start
        done = self.sums.narrow(self.axis + 1, 0, length) / self.weights.narrow(self.axis, 0, length)
        rest = self.sums.shape[self.axis + 1] - length
        self.sums = self.sums.narrow(self.axis + 1, length, rest).clone()
        self.weights = self.weights.narrow(self.axis, length, rest).clone()
        self.start = until
        return done

    def _reach(self, end: int, like: Tensor) -> None:
        have = 0 if self.sums is None else self.sums.shape[self.axis + 1]
        missing = end - self.start - have
        if missing <= 0:
            return
        across = self.size[1 - self.axis]
        shape = (missing, across) if self.axis == 0 else (across, missing)
        sums, weights = like.new_zeros((like.shape[0], *shape)), like.new_zeros(shape)
        self.sums = sums if self.sums is None else torch.cat([self.sums, sums], dim=self.axis + 1)
        self.weights = weights if self.weights is None else torch.cat([self.weights, weights], dim=self.axis)

    def _place(self, tile: Tile) -> tuple[slice, slice]:
        rows, columns = slice(tile.top, tile.bottom), slice(tile.left, tile.right)
        if self.axis == 0:
            return slice(tile.top - self.start, tile.bottom - self.start), columns
        return rows, slice(tile.left - self.start, tile.right - self.start)


def blended_map(
    model: Model, outputs: Iterable[tuple[Sequence[Tile], PixelScores]], size: tuple[int, int], *, overlap_px: int
) -> SegmentationMap:
    """Return one map from what a segmenter says of tiles.

    Where tiles overlap, probabilities are averaged with weights that fade towards a tile's edge, where a network sees
    least. What no further tile reaches is decoded at once: however long the image, no more is kept than a strip as wide
    as a tile across its shorter side.

    Args:
        model: Decodes.
        outputs: Tiles and what the model says of them, by the longer side of the image.
        size: Height and width of the image.
        overlap_px: Over which weights fade.

    Source:
        Pielawski and Wählby 2020, Introducing Hann windows for reducing edge-effects in patch-based image segmentation,
        https://doi.org/10.1371/journal.pone.0229839.
    """
    axis = long_axis(size)
    strip = _Strip(size, axis)
    labels, confidence = torch.zeros(size, dtype=torch.uint8), torch.zeros(size)

    def keep(until: int, output: Any) -> None:
        start = strip.start
        done = strip.taken(until)
        if done is None:
            return
        found = _decoded(model, output, done)
        place = (slice(start, until), slice(None)) if axis == 0 else (slice(None), slice(start, until))
        labels[place], confidence[place] = found.labels.cpu(), found.confidence.float().cpu()

    last: Any = None
    for tiles, output in outputs:
        last = output
        for tile, probs in zip(tiles, pixel_probs(output), strict=True):
            keep((tile.top, tile.left)[axis], output)
            strip.add(probs, tile, tile_window(tile, size, overlap_px=overlap_px).to(probs.device))
    keep(size[axis], last)
    return SegmentationMap(labels=labels, confidence=confidence)


def long_axis(size: tuple[int, int]) -> int:
    """Return 0 for an image that is higher than wide, else 1."""
    return 0 if size[0] >= size[1] else 1


def tile_window(tile: Tile, size: tuple[int, int], *, overlap_px: int) -> Float[Tensor, "height width"]:
    """Return the weights of a tile's pixels: a Hann window over the overlap, 1 within and at the image's own edges."""
    rows = _fading(tile.top, tile.bottom, size[0], overlap_px)
    columns = _fading(tile.left, tile.right, size[1], overlap_px)
    return rows[:, None] * columns[None, :]


def _fading(first: int, last: int, whole: int, overlap_px: int) -> Float[Tensor, " length"]:
    length = last - first
    weights = torch.ones(length)
    # Half a pixel from the edge, so that no weight is 0 and those of two tiles add up to 1.
    ramp = torch.sin((torch.arange(min(overlap_px, length)) + 0.5) * (0.5 * pi / max(overlap_px, 1))).square()
    if first > 0:
        weights[: len(ramp)] *= ramp
    if last < whole:
        weights[length - len(ramp) :] *= ramp.flip(0)
    return weights


def _decoded(model: Model, output: Any, probs: Float[Tensor, "num_classes height width"]) -> SegmentationMap:
    size = (probs.shape[1], probs.shape[2])
    found: Any = model.decode(said_anew(output, [probs], size), torch.tensor([size]))[0]
    if not isinstance(found, SegmentationMap):
        raise InputError(
            f"what scores every pixel must be decoded to a SegmentationMap; got {type(found).__name__} from "
            f"{type(model).__name__}. Correct its decode."
        )
    return found
