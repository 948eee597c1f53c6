"""Regions of images as vectors: maps once for each image, and any number of boxes pooled from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
import torchvision
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as vision

from snellen.data import DatasetIndex, read_image
from snellen.doctor.evidence.embeddings import PretrainedBackbone, network_input
from snellen.doctor.evidence.picture_code import PatchCode, learn_patches, region_maps
from snellen.doctor.evidence.reduction import Reduction
from snellen.errors import DatasetError

__all__ = ["RegionMaps", "RegionReader", "region_reader"]

NETWORK_OBJECT_PX = 64  # side that a usual object is brought to for a network: four cells of stride 16
PATCH_OBJECT_PX = 40  # and for codes of patches of 6 px
NETWORK_PIXELS = (50_000, 400_000)  # of an image, least and most
PATCH_PIXELS = (10_000, 200_000)
CONTEXT = 1.3  # of a box's sides that is looked at: an edge is seen from both sides
CHANNELS = 64  # that maps of more are brought to, by their principal axes: pooling is most of the time
NETWORK_BINS = (5, 4, 2)  # of a side, on the maps of stride 8, 16 and 32
PATCH_BINS = (4, 8, 2)  # of patches, gradients, colours
PATCH_WEIGHTS = (1.0, 1.0, 0.5)
CELLS = 500  # of a map of each image that these axes are learned from, about
SAMPLE_IMAGES = 40  # that patches and axes are learned from
SAMPLE_BOXES = 4000
POOLED_AT_ONCE = 256  # boxes

Boxes: TypeAlias = NDArray[np.float32]
RegionMaps: TypeAlias = tuple[Sequence[tuple[Tensor, float]], float]  # maps with cells per pixel, and the image's scale


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionReader:
    """Brings regions of any image of a data set to vectors.

    Attributes:
        backbone: A network, or None.
        code: Of patches, where there is no network.
        scale: Of images, so that a usual object has the size that maps are best at.
        channels: What each map's channels are multiplied by, or None where they are few.
        reduction: To few numbers.
    """

    backbone: PretrainedBackbone | None
    code: PatchCode | None
    scale: float
    channels: tuple[Tensor | None, ...] = ()
    reduction: Reduction | None = None

    def maps(self, image: UInt8[Tensor, "3 height width"]) -> RegionMaps:
        """Return the maps of an image."""
        scale = self._scale_of(image)
        size = [max(32, round(side * scale)) for side in image.shape[-2:]]
        pixels = vision.resize(image, size, antialias=True)[None]
        with torch.inference_mode():
            raw = self._raw_maps(pixels)
            projected = [
                (part if by is None else torch.einsum("bchw,cd->bdhw", part, by), step)
                for (part, step), by in zip(raw, self.channels or [None] * len(raw), strict=True)
            ]
        return projected, scale

    def _raw_maps(self, pixels: Tensor) -> list[tuple[Tensor, float]]:
        if self.backbone is None:
            maps = [] if self.code is None else region_maps(pixels.float() / 255, self.code)
            return [(part.clamp(min=0).sqrt(), step) for part, step in maps]
        found = self.backbone.network(network_input(pixels, self.backbone))
        return [(found[spec.name], 1 / spec.stride) for spec in self.backbone.network.features[-3:]]

    def pooled(self, maps: RegionMaps, boxes: Boxes) -> list[NDArray[np.float32]]:
        """Return the features of boxes (in pixels of the file), one array for each map."""
        widened = _widened(boxes, CONTEXT) * maps[1]
        bins = PATCH_BINS if self.backbone is None else NETWORK_BINS[-len(maps[0]) :]
        parts: list[list[NDArray[np.float32]]] = [[] for _ in maps[0]]
        with torch.inference_mode():
            for start in range(0, len(boxes), POOLED_AT_ONCE):
                rois = [torch.from_numpy(widened[start : start + POOLED_AT_ONCE])]
                for place, (part, step) in enumerate(maps[0]):
                    cells = torchvision.ops.roi_align(
                        part, rois, bins[place], spatial_scale=step, sampling_ratio=1, aligned=True
                    )
                    parts[place].append(cells.flatten(1).numpy())
        return [np.concatenate(part) for part in parts]

    def vectors(self, maps: RegionMaps, boxes: Boxes) -> NDArray[np.float32]:
        """Return the vectors of boxes, ``[n, d]``."""
        if self.reduction is None or not len(boxes):
            return np.zeros((len(boxes), 0 if self.reduction is None else self.reduction.axes.shape[1]), np.float32)
        return self.reduction.reduced(self.pooled(maps, boxes))

    def _scale_of(self, image: Tensor) -> float:
        pixels = image.shape[-2] * image.shape[-1]
        least, most = PATCH_PIXELS if self.backbone is None else NETWORK_PIXELS
        return float(np.clip(self.scale, np.sqrt(least / pixels), np.sqrt(most / pixels)))


def region_reader(
    index: DatasetIndex, rows: NDArray[np.int64], boxes: Sequence[Boxes], backbone: PretrainedBackbone | None
) -> RegionReader:
    """Return a reader that has learned from a sample of boxes.

    Args:
        index: The data set.
        rows: Images to learn from.
        boxes: In each of them, objects and others.
        backbone: A network, or None.
    """
    chance = np.random.default_rng(0)
    places = np.sort(chance.permutation(len(rows))[:SAMPLE_IMAGES])
    everything = np.concatenate([boxes[place] for place in places])
    side = float(np.median(np.sqrt(np.maximum(np.prod(everything[:, 2:] - everything[:, :2], axis=1), 1))))
    wanted = PATCH_OBJECT_PX if backbone is None else NETWORK_OBJECT_PX
    bare = RegionReader(backbone=backbone, code=None, scale=wanted / side)
    code = None if backbone is not None else learn_patches(torch.cat(list(_tiles(index, rows[places], bare))))
    bare = RegionReader(backbone=backbone, code=code, scale=wanted / side)
    channels = _main_channels(bare, _images(index, rows[places]))
    plain = RegionReader(backbone=backbone, code=code, scale=wanted / side, channels=channels)
    learned: list[list[NDArray[np.float32]]] = []
    most = max(1, SAMPLE_BOXES // len(places))
    for place in places.tolist():
        image = readable_image(index, int(rows[place]))
        if image is not None and len(boxes[place]):
            chosen = chance.permutation(len(boxes[place]))[:most]
            learned.append(plain.pooled(plain.maps(image), boxes[place][chosen]))
    groups = [np.concatenate(parts) for parts in zip(*learned, strict=True)]
    weights = PATCH_WEIGHTS if backbone is None else [1.0] * len(groups)
    reduction = Reduction.learned(groups, weights)
    return RegionReader(backbone=backbone, code=code, scale=plain.scale, channels=channels, reduction=reduction)


def readable_image(index: DatasetIndex, row: int) -> UInt8[Tensor, "3 height width"] | None:
    """Return an image, or None where the file has become unreadable."""
    try:
        return read_image(index.path(row))
    except DatasetError:
        return None


def _images(index: DatasetIndex, rows: NDArray[np.int64]) -> Iterator[Tensor]:
    for row in rows.tolist():
        image = readable_image(index, row)
        if image is not None:
            yield image


def _main_channels(reader: RegionReader, images: Iterator[Tensor]) -> tuple[Tensor | None, ...]:
    """Return for each map the principal axes of its channels, over cells of the images; None where they are few."""
    gathered: list[list[Tensor]] = []
    for image in images:
        cells = [part[0].flatten(1) for part, _ in reader.maps(image)[0]]  # channels cells
        gathered.append([part[:, :: max(1, part.shape[1] // CELLS)].clone() for part in cells])
    axes: list[Tensor | None] = []
    for parts in zip(*gathered, strict=True):
        cells_of_map = torch.cat(parts, dim=1)
        is_few = len(cells_of_map) <= CHANNELS
        axes.append(None if is_few else torch.linalg.eigh(torch.cov(cells_of_map))[1][:, -CHANNELS:])
    return tuple(axes)


def _tiles(index: DatasetIndex, rows: NDArray[np.int64], reader: RegionReader) -> Iterator[Tensor]:
    """Yield parts of images of 64 x 64 pixels at the working scale, values in 0..1."""
    for image in _images(index, rows):
        scale = reader._scale_of(image)  # noqa: SLF001 - the same rule for learning and reading
        size = [max(64, round(side * scale)) for side in image.shape[-2:]]
        pixels = vision.resize(image, size, antialias=True).float() / 255
        yield pixels.unfold(1, 64, 64).unfold(2, 64, 64).permute(1, 2, 0, 3, 4).flatten(0, 1)[:16]


def _widened(boxes: Boxes, factor: float) -> Boxes:
    center, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) * (factor / 2)
    return np.concatenate([center - half, center + half], axis=1).astype(np.float32)
