"""Large images, looked at in overlapping tiles at their own resolution."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import chain
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from snellen.errors import InputError
from snellen.evaluation.blended_tiles import blended_map, long_axis
from snellen.evaluation.loop import PrecisionContext, inspecting
from snellen.evaluation.pixel_scores import has_pixel_scores
from snellen.evaluation.tiles import Tile, tiles_of
from snellen.ops import covered_share, kept_by_nms
from snellen.structures import Detections, ImageBatch, Model, Prediction, SegmentationMap

__all__ = ["MERGERS", "predict_tiled"]

SAME_OBJECT_IOU = 0.5  # overlap from which two boxes of one class are one object; Felzenszwalb et al. 2010
CUT_COVERED = 0.7  # share of a box cut by a tile's edge that must lie in a whole box for the cut one to go; our choice
EDGE_PX = 1.5  # distance to a tile's inner edge at which a box counts as cut by it; our choice


def predict_tiled(
    model: Model,
    image: UInt8[Tensor, "3 height width"],
    *,
    tile_px: int,
    overlap_px: int,
    batch_size: int = 4,
    device: torch.device | str = "cpu",
    precision_context: PrecisionContext = nullcontext,
) -> Prediction:
    """Predict a large image tile by tile and put the answers together.

    Detections are moved into place, and what two tiles saw is joined class by class: the better of two
    overlapping boxes stays, and a box that a tile's edge cut goes if a whole one covers it. Probabilities of pixels
    are faded into one another (see ``blended_map``). Of maps of a model that tells no probabilities each pixel takes
    the tile in which it lies deepest, because a network sees least at the edges.

    Args:
        model: On ``device`` already; its modes are left as they were.
        image: RGB at its original size.
        tile_px: Side of a tile.
        overlap_px: Least overlap of two tiles.
        batch_size: Tiles computed at a time.
        device: Where to compute.
        precision_context: Makes the context in which the forward pass runs, such as autocast.

    Raises:
        InputError: If the model's predictions cannot be put together (the class of a whole image), or the
            sizes do not fit.

    Source:
        Overlapping tiles: Ronneberger et al. 2015, section 2 (U-Net); for detection Akyon et al. 2022 (SAHI).
    """
    size = (image.shape[-2], image.shape[-1])
    tiles = tiles_of(size, tile_px=tile_px, overlap_px=overlap_px)
    if long_axis(size):
        tiles.sort(key=lambda tile: (tile.left, tile.top))
    with inspecting(model):
        outputs = _outputs(model, image, tiles, batch_size, device, precision_context)
        first = next(outputs)
        outputs = chain([first], outputs)
        if has_pixel_scores(first[1]):
            return blended_map(model, outputs, size, overlap_px=overlap_px)
        parts: list[Prediction] = []
        for some, output in outputs:
            sizes = torch.tensor([[tile.bottom - tile.top, tile.right - tile.left] for tile in some])
            parts += [part.to("cpu") for part in model.decode(output, sizes.to(device))]
            merge = _merger(type(parts[0]))
    return merge(parts, tiles, size)


def _outputs(  # what is looked at, and how
    model: Model,
    image: Tensor,
    tiles: Sequence[Tile],
    batch_size: int,
    device: torch.device | str,
    precision_context: PrecisionContext,
) -> Iterator[tuple[list[Tile], Any]]:
    for start in range(0, len(tiles), batch_size):
        some = list(tiles[start : start + batch_size])
        batch = _tile_batch(image, some, model.stride).to(device)
        with precision_context():
            output = model(batch)
        yield some, output


def _merger(kind: type[Prediction]) -> Callable[[Sequence[Any], Sequence[Tile], tuple[int, int]], Prediction]:
    if kind not in MERGERS:
        known = ", ".join(known.__name__ for known in MERGERS)
        raise InputError(
            f"tiles can be put together for {known}; got {kind.__name__} from the model. A statement about a "
            "whole image cannot be made from its parts: predict without tiles."
        )
    return MERGERS[kind]


def _tile_batch(image: Tensor, tiles: Sequence[Tile], stride: int) -> ImageBatch:
    # All tiles of an image have one size; only the canvas is padded to the stride.
    pixels = torch.stack([image[:, tile.top : tile.bottom, tile.left : tile.right] for tile in tiles])
    height, width = pixels.shape[-2:]
    sizes = torch.tensor([[height, width]] * len(tiles))
    padded = functional.pad(pixels, (0, -width % stride, 0, -height % stride))
    return ImageBatch(pixels=padded, sizes=sizes, original_sizes=sizes)


def _merged_detections(parts: Sequence[Detections], tiles: Sequence[Tile], size: tuple[int, int]) -> Detections:
    boxes = torch.cat([p.boxes + p.boxes.new_tensor([t.left, t.top] * 2) for p, t in zip(parts, tiles, strict=True)])
    scores, labels = torch.cat([p.scores for p in parts]), torch.cat([p.labels for p in parts])
    cut = torch.cat([_is_cut(p.boxes, t, size) for p, t in zip(parts, tiles, strict=True)])
    num_groups = int(labels.max()) + 1 if len(labels) else 1
    # Whole boxes come first whatever their score: half an object must not push out the object.
    preference = scores + (~cut).to(scores.dtype) * (scores.max() - scores.min() + 1 if len(scores) else 0)
    keep = kept_by_nms(boxes, preference, labels, iou_above=SAME_OBJECT_IOU, num_groups=num_groups)
    covered = covered_share(boxes, boxes) >= CUT_COVERED
    covered &= (labels[:, None] == labels[None, :]) & (keep & ~cut)[None, :]
    keep &= ~(cut & covered.any(dim=1))
    rows = keep.nonzero().squeeze(1)
    rows = rows[scores[rows].argsort(descending=True, stable=True)]
    return Detections(
        boxes=boxes[rows],
        scores=scores[rows],
        labels=labels[rows],
        masks=_placed_masks(parts, tiles, rows, size),
    )


def _is_cut(boxes: Tensor, tile: Tile, size: tuple[int, int]) -> Tensor:
    """True for boxes (in the tile's pixels) that touch an edge of the tile which is no edge of the image."""
    height, width = tile.bottom - tile.top, tile.right - tile.left
    inner = (tile.left > 0, tile.top > 0, tile.right < size[1], tile.bottom < size[0])
    distance = (boxes[:, 0], boxes[:, 1], width - boxes[:, 2], height - boxes[:, 3])
    cut = torch.zeros(len(boxes), dtype=torch.bool)
    for is_inner, gap in zip(inner, distance, strict=True):
        if is_inner:
            cut |= gap <= EDGE_PX
    return cut


def _placed_masks(
    parts: Sequence[Detections], tiles: Sequence[Tile], rows: Tensor, size: tuple[int, int]
) -> Tensor | None:
    own_masks = [part.masks for part in parts if part.masks is not None]
    if len(own_masks) < len(parts):
        return None
    owners = [(mask, tile) for masks, tile in zip(own_masks, tiles, strict=True) for mask in masks]
    placed = torch.zeros(len(rows), *size, dtype=torch.uint8)
    for place, row in enumerate(rows.tolist()):
        mask, tile = owners[row]
        placed[place, tile.top : tile.bottom, tile.left : tile.right] = mask
    return placed


def _merged_maps(parts: Sequence[SegmentationMap], tiles: Sequence[Tile], size: tuple[int, int]) -> SegmentationMap:
    labels = torch.zeros(size, dtype=torch.uint8)
    confidence = torch.zeros(size)
    deepest = torch.full(size, -1)
    for part, tile in zip(parts, tiles, strict=True):
        window = (slice(tile.top, tile.bottom), slice(tile.left, tile.right))
        depth = _depth(tile, size)
        better = depth > deepest[window]
        labels[window] = torch.where(better, part.labels, labels[window])
        confidence[window] = torch.where(better, part.confidence.float(), confidence[window])
        deepest[window] = torch.where(better, depth, deepest[window])
    return SegmentationMap(labels=labels, confidence=confidence)


def _depth(tile: Tile, size: tuple[int, int]) -> Tensor:
    """Distance of every pixel of a tile to the nearest edge that cuts the image."""
    far = size[0] + size[1]  # an edge of the image cuts nothing
    rows, columns = torch.arange(tile.bottom - tile.top), torch.arange(tile.right - tile.left)
    top = rows + (0 if tile.top > 0 else far)
    bottom = rows.flip(0) + (0 if tile.bottom < size[0] else far)
    left = columns + (0 if tile.left > 0 else far)
    right = columns.flip(0) + (0 if tile.right < size[1] else far)
    return torch.minimum(torch.minimum(top, bottom)[:, None], torch.minimum(left, right)[None, :])


MERGERS: Mapping[type[Prediction], Callable[[Sequence[Any], Sequence[Tile], tuple[int, int]], Prediction]] = {
    Detections: _merged_detections,
    SegmentationMap: _merged_maps,
}
