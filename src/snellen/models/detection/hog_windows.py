"""Windows of the HOG detector: how large they are, where they stand, and what is in them.

Shapes: K classes, N places of a level. A window is the object's box, in whole cells, with a margin around it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.imaging import (
    HogSpec,
    continued_edges,
    hog_blocks,
    lies_within,
    pyramid_scales,
    rescaled,
    score_windows,
    sliding_boxes,
)
from snellen.models.detection.fitting import MiningSettings, SvmSettings
from snellen.models.detection.selection import SelectionSettings
from snellen.models.field_checks import Range, check_fields
from snellen.ops import box_centers_sizes
from snellen.structures import ImageBatch

__all__ = [
    "HogSettings",
    "WindowLayout",
    "WindowLevel",
    "crop_objects",
    "fit_layout",
    "is_fitting",
    "picked_boxes",
    "window_levels",
]

MIN_OBJECT_CELLS, MAX_OBJECT_CELLS = 3, 16  # of a side of a window without its margin
SMALL_QUANTILE = 0.2  # a window is no larger than 80 % of the objects; Felzenszwalb et al. 2010, section 5.2
SMALLEST_QUANTILE = 0.05  # the pyramid begins where objects smaller than 95 % of them fit their window


@dataclass(frozen=True, slots=True, kw_only=True)
class HogSettings:
    """How the HOG detector looks, learns and decides.

    Attributes:
        hog: The features.
        margin_cells: Context on each side of the object; 2 in Dalal and Triggs 2005 (16 px).
        area_px: Smallest and largest area of an object in its window. Felzenszwalb's code has 3000 to 5000; objects
            of few pixels need smaller windows.
        scale_factor: From one level of the pyramid to the next.
        max_scale: Largest enlargement of an image, for objects smaller than their window.
        fits_from: Objects whose best window overlaps them by less (IoU) are no examples: their shape is too different.
        negative_below: Windows that overlap each object of the class by less (IoU) are negatives.
        random_per_image: Negatives of each class drawn from each image; 10 in the paper.
        mining_rounds: Scans for hard negatives, each followed by a retraining; 1 in the paper. With 24 images of
            BCCD 0, 1 and 2 rounds gave an AP50 of .371, .419 and .464 on 30 others.
        hard_per_image: Most hard negatives of each class from each image and scan, drawn among all of them.
        hard_per_class: Most hard negatives of each class from a whole scan; shared equally by the images.
        hard_above: A window is hard if its margin is above this. 0 in the paper: taken for an object.
        memory_bytes: Of the negatives of all classes; if there is not room for so many, fewer are taken per image.
        svm: What each SVM minimises. The paper has C = 0.01 with SVMlight on 14,600 examples; with fewer a larger C
            pays (0.951 instead of 0.943 of 3208 INRIA windows right at C = 0.1).
        has_mirrored: Whether examples are also learned mirrored, as in the paper. Off, for letters are not symmetric.
        candidates: Best windows of each class and image that are kept.
        selection: From scored windows to detections.
    """

    hog: HogSpec = field(default_factory=HogSpec)
    margin_cells: int = 2
    area_px: tuple[float, float] = (1000.0, 5000.0)
    scale_factor: float = 1.1
    max_scale: float = 2.0
    fits_from: float = 0.5
    negative_below: float = 0.3
    random_per_image: int = 10
    mining_rounds: int = 2
    hard_per_image: int = 50
    hard_per_class: int = 6000
    hard_above: float = -1.0
    memory_bytes: int = 2 * 2**30
    svm: SvmSettings = field(default_factory=lambda: SvmSettings(cost=0.1, positive_weight=1.0, tolerance=1e-2))
    has_mirrored: bool = False
    candidates: int = 1000
    selection: SelectionSettings = field(default_factory=lambda: SelectionSettings(score_above=0.25, nms_iou=0.3))

    def __post_init__(self) -> None:
        """Refuse margins that no grid of blocks meets.

        Raises:
            ConfigError: If the margin is no count of cells, or the blocks do not step evenly through it.
        """
        check_fields(self, margin_cells=Range(lambda value: value >= 0, "a whole number of 0 or more", is_whole=True))
        if self.margin_cells % self.hog.block_step:
            raise ConfigError(
                "margin_cells must be a multiple of the cells from block to block, so that objects stand on the grid; "
                f"got {self.margin_cells} and block_step {self.hog.block_step}. Choose a multiple, or block_step 1."
            )

    @property
    def mining(self) -> MiningSettings:
        """What the caches of negatives have to know: nothing is forgotten, as in the paper."""
        return MiningSettings(svm=self.svm, hard_above=self.hard_above, evict_below=None, target_norm=None)

    @property
    def max_blocks(self) -> int:
        """Blocks along a side of the largest window."""
        return self.hog.num_blocks(MAX_OBJECT_CELLS + 2 * self.margin_cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLayout:
    """The windows as the host needs them.

    Attributes:
        object_cells: Rows and columns of each class's window without its margin.
        largest_scale: Of the pyramid.
    """

    object_cells: tuple[tuple[int, int], ...]
    largest_scale: float

    def object_px(self, settings: HogSettings) -> list[tuple[int, int]]:
        """Return height and width of each class's window without its margin, in pixels of a level."""
        side = settings.hog.cell_px
        return [(rows * side, columns * side) for rows, columns in self.object_cells]

    def blocks(self, settings: HogSettings) -> list[tuple[int, int]]:
        """Return rows and columns of blocks of each class's window with its margin."""
        extra = 2 * settings.margin_cells
        count = settings.hog.num_blocks
        return [(count(rows + extra), count(columns + extra)) for rows, columns in self.object_cells]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowLevel:
    """All windows of one level of the pyramid.

    Attributes:
        blocks: Of the level, with the margin around it.
        boxes: Of the windows without margin, in pixels of the canvas.
        margins: Of the SVMs.
        inside: False for windows whose object would lie partly in the padding of the batch or outside.
    """

    blocks: Float[Tensor, "batch depth rows columns"]
    boxes: Float[Tensor, "K N 4"]
    margins: Float[Tensor, "batch K N"]
    inside: Bool[Tensor, "batch K N"]


def fit_layout(sizes: list[Float[Tensor, "_ 2"]], settings: HogSettings) -> WindowLayout:
    """Return windows that suit the objects.

    The shape is the median shape of a class's objects, and the area that which 80 % of them exceed, within limits.

    Args:
        sizes: Height and width of the objects of each class in pixels. A class without objects gets a square window.
        settings: Limits of the area and of the enlargement.

    Source:
        Felzenszwalb et al. 2010, section 5.2. Differs: the median of the aspect ratios instead of their mode.
    """
    cells, scales = [], []
    for of_class in sizes:
        if len(of_class) == 0:
            cells.append((MIN_OBJECT_CELLS, MIN_OBJECT_CELLS))
            continue
        areas = of_class.double().prod(dim=1)
        aspect = float((of_class[:, 0] / of_class[:, 1]).double().median())
        area = min(max(float(areas.quantile(SMALL_QUANTILE)), settings.area_px[0]), settings.area_px[1])
        sides = (math.sqrt(area * aspect), math.sqrt(area / aspect))
        rows, columns = (
            min(max(round(side / settings.hog.cell_px), MIN_OBJECT_CELLS), MAX_OBJECT_CELLS) for side in sides
        )
        cells.append((rows, columns))
        scales.append(math.sqrt(rows * columns * settings.hog.cell_px**2 / float(areas.quantile(SMALLEST_QUANTILE))))
    return WindowLayout(object_cells=tuple(cells), largest_scale=min(max(scales, default=1.0), settings.max_scale))


def is_fitting(sizes: Float[Tensor, "n 2"], object_px: tuple[int, int], *, fits_from: float) -> Bool[Tensor, " n"]:
    """True for objects that a window of the same centre and area overlaps by at least ``fits_from``.

    Args:
        sizes: Height and width.
        object_px: Height and width of the window without its margin; only their ratio matters.
        fits_from: IoU.
    """
    aspect = sizes[:, 0] / sizes[:, 1] * (object_px[1] / object_px[0])
    shared = torch.minimum(aspect, 1 / aspect).sqrt()  # of the area: the one is as much too high as the other too wide
    return shared / (2 - shared) >= fits_from


def window_levels(
    images: ImageBatch, layout: WindowLayout, weight: Tensor, bias: Tensor, settings: HogSettings
) -> Iterator[WindowLevel]:
    """Yield the levels of the pyramid, the largest first, with all windows scored.

    Args:
        images: On the device of the weights.
        layout: Of the windows.
        weight: [K, depth, blocks, blocks], zero outside a class's window.
        bias: [K].
        settings: Of the pyramid.
    """
    spec = settings.hog
    canvas = (images.pixels.shape[-2], images.pixels.shape[-1])
    objects_px = layout.object_px(settings)
    last = min(objects_px, key=lambda side: max(side[0] / canvas[0], side[1] / canvas[1]))  # fits the smallest level
    windows = torch.tensor(objects_px, dtype=torch.float32).to(weight.device)
    rows, columns = (max(sides) for sides in zip(*layout.blocks(settings), strict=True))
    weight = weight[..., :rows, :columns]
    margin = settings.margin_cells * spec.cell_px
    pixels = continued_edges(images.pixels.float() / 255, images.sizes)
    for scale in pyramid_scales(canvas, last, factor=settings.scale_factor, largest=layout.largest_scale):
        level = rescaled(pixels, scale)
        missing = [max(0, spec.block_cells * spec.cell_px - side) for side in level.shape[-2:]]
        level = functional.pad(level, (margin, margin + missing[1], margin, margin + missing[0]), mode="replicate")
        blocks = hog_blocks(level, spec)
        margins = score_windows(blocks, weight, bias)
        grid = (margins.shape[-2], margins.shape[-1])
        boxes = sliding_boxes(grid, windows, step_px=spec.block_step * spec.cell_px, scale=scale).flatten(0, 1)
        inside = lies_within(boxes.flatten(0, 1), images.sizes).view(len(images), *boxes.shape[:2])
        yield WindowLevel(
            blocks=blocks, boxes=boxes.transpose(0, 1), margins=margins.flatten(2), inside=inside.transpose(1, 2)
        )


def crop_objects(
    pixels: Float[Tensor, "3 height width"],
    boxes: Float[Tensor, "n 4"],
    object_cells: tuple[int, int],
    settings: HogSettings,
) -> Float[Tensor, "n depth block_rows block_columns"]:
    """Return the features of windows around objects.

    The crop has the object's centre and area and keeps its shape, as a level of the pyramid does; what lies outside
    of the image is its continued edge. A ring of one block is computed and cut off, for the windows of a level do not
    end at an edge either.

    Args:
        pixels: 0..1, without padding.
        boxes: Of the objects.
        object_cells: Rows and columns of the window without its margin.
        settings: Of features and margin.
    """
    spec = settings.hog
    ring = settings.margin_cells + spec.block_step
    window = [(cells + 2 * ring) * spec.cell_px for cells in object_cells]
    area = object_cells[0] * object_cells[1] * spec.cell_px**2
    crops = []
    centers, sides = box_centers_sizes(boxes)
    for (x, y), side in zip(centers.tolist(), sides, strict=True):
        scale = math.sqrt(area / float(side.prod()))
        rows = _span(y, window[0] / scale, pixels.shape[1], pixels.device)
        columns = _span(x, window[1] / scale, pixels.shape[2], pixels.device)
        crop = pixels.index_select(1, rows).index_select(2, columns)
        crops.append(functional.interpolate(crop[None], size=window, mode="bilinear", antialias=True))
    return hog_blocks(torch.cat(crops), spec)[..., 1:-1, 1:-1]


def _span(center: float, length: float, limit: int, device: torch.device) -> Int64[Tensor, " n"]:
    """Return the pixels around ``center`` (continuous edges), those outside replaced by the nearest inside."""
    start = round(center - length / 2)
    stop = max(start + 1, round(center + length / 2))
    return torch.arange(start, stop, device=device).clamp(0, limit - 1)


def picked_boxes(boxes: Float[Tensor, "K N 4"], index: Int64[Tensor, "B K n"]) -> Float[Tensor, "B K n 4"]:
    """Return the boxes of each class at ``index``, for each image."""
    return boxes.expand(len(index), -1, -1, -1).gather(2, index[..., None].expand(-1, -1, -1, 4))
