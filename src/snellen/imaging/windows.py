"""Sliding windows over an image pyramid, all windows of a level scored by one convolution.

Coordinates: pixel ``i`` of a level of scale ``s`` covers ``i / s`` to ``(i + 1) / s`` of the image, so that a box is
mapped by a division and nothing else.
"""

from dataclasses import dataclass
from math import ceil

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from snellen.errors import ConfigError, ShapeError
from snellen.ops import box_iou
from snellen.structures import TensorRecord

__all__ = [
    "WindowCount",
    "continued_edges",
    "count_windows",
    "lies_within",
    "pyramid_scales",
    "rescaled",
    "score_windows",
    "sliding_boxes",
]

HOLDS_OBJECT_FROM = 0.5  # IoU from which a window holds an object; Everingham et al. 2010 (Pascal VOC), section 4.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowCount(TensorRecord):
    """How much a sliding window looks at, and how little of it is worth a look.

    Attributes:
        evaluated: Windows of each image.
        on_objects: Of those, windows that hold an object.
        objects: Objects of each image.
        reachable: Of those, objects that some window holds.
    """

    evaluated: Int64[Tensor, " batch"]
    on_objects: Int64[Tensor, " batch"]
    objects: Int64[Tensor, " batch"]
    reachable: Int64[Tensor, " batch"]


def pyramid_scales(
    canvas: tuple[int, int], window: tuple[float, float], *, factor: float, largest: float = 1.0
) -> tuple[float, ...]:
    """Return the scales of a pyramid, falling, as long as the window fits; at least one.

    Args:
        canvas: Height and width of the images in pixels.
        window: Height and width of the smallest window in pixels of a level.
        factor: From one level to the next.
        largest: Scale of the first level; above 1 the image is enlarged, to find what is smaller than the window.

    Raises:
        ConfigError: If the levels would not shrink.

    Source:
        Dalal and Triggs 2005; the steps of 1.05 to 1.2 are usual since (Dalal 2006, section 5.4; OpenCV: 1.05).
    """
    if factor <= 1 or largest <= 0:
        raise ConfigError(
            f"a pyramid needs a factor above 1 and a largest scale above 0; got {factor} and {largest}. "
            "Usual are 1.05 to 1.2, and 1."
        )
    scales = [largest]
    while min(side * scales[-1] / factor / need for side, need in zip(canvas, window, strict=True)) >= 1:
        scales.append(scales[-1] / factor)
    return tuple(scales)


def continued_edges(
    pixels: Float[Tensor, "batch channels height width"], sizes: Int64[Tensor, "batch 2"]
) -> Float[Tensor, "batch channels height width"]:
    """Return the images with the padding of the batch replaced by each image's own last row and column.

    What stands in the padding then has no influence, and the border between image and padding is no edge.

    Args:
        pixels: Padded at the right and at the bottom.
        sizes: Height and width of the content.
    """
    batch, _, height, width = pixels.shape
    rows = torch.minimum(torch.arange(height, device=pixels.device), sizes[:, :1] - 1)
    columns = torch.minimum(torch.arange(width, device=pixels.device), sizes[:, 1:] - 1)
    image = torch.arange(batch, device=pixels.device)[:, None, None]
    return pixels[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def rescaled(
    pixels: Float[Tensor, "batch channels height width"], scale: float
) -> Float[Tensor, "batch channels new_height new_width"]:
    """Return one level of a pyramid: bilinear, and averaged where it shrinks.

    The scale is met exactly whatever the size of the canvas; what is left of a last pixel is cut off. A side of less
    than one pixel of the level is continued until it is one.

    Args:
        pixels: The images.
        scale: Pixels of the level per pixel of the image.
    """
    if scale == 1:
        return pixels
    down, right = (max(0, ceil(1 / scale) - side) for side in pixels.shape[-2:])
    if down or right:
        pixels = functional.pad(pixels, (0, right, 0, down), mode="replicate")
    return functional.interpolate(
        pixels, scale_factor=scale, mode="bilinear", antialias=True, recompute_scale_factor=False
    )


def score_windows(
    features: Float[Tensor, "batch depth rows columns"],
    weight: Float[Tensor, "num_classes depth window_rows window_columns"],
    bias: Float[Tensor, " num_classes"],
) -> Float[Tensor, "batch num_classes rows columns"]:
    """Return the score of the window that begins at each place of a map, for each class.

    Windows share their features, so that all of them cost one convolution. A window that sticks out at the right
    or at the bottom sees zeros there; whether it counts is the caller's choice.

    Args:
        features: For example the blocks of ``hog_blocks``.
        weight: Of linear classifiers; windows smaller than the largest have zeros at the right and at the bottom.
        bias: Of the same.

    Raises:
        ShapeError: If the depths differ.
    """
    if features.shape[1] != weight.shape[1]:
        raise ShapeError(
            f"features and weights must have one depth; got {features.shape[1]} and {weight.shape[1]}. Compute the "
            "features with the settings that the classifiers were trained on."
        )
    rows, columns = weight.shape[-2:]
    return functional.conv2d(functional.pad(features, (0, columns - 1, 0, rows - 1)), weight, bias)


def sliding_boxes(
    grid: tuple[int, int],
    windows: Float[Tensor, "num_classes 2"],
    *,
    step_px: float,
    scale: float,
) -> Float[Tensor, "rows columns num_classes 4"]:
    """Return the boxes of all windows of a level in pixels of the image.

    Args:
        grid: Rows and columns of places.
        windows: Height and width of each class's window in pixels of the level.
        step_px: From one place to the next, in pixels of the level.
        scale: Of the level.
    """
    rows, columns = (torch.arange(count, device=windows.device) * step_px for count in grid)
    corner = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)[:, :, None].float()  # (x, y)
    corner = corner.expand(-1, -1, len(windows), -1)
    return torch.cat([corner, corner + windows.flip(-1)], dim=-1) / scale


def lies_within(
    boxes: Float[Tensor, "num_boxes 4"], sizes: Int64[Tensor, "batch 2"], *, slack_px: float = 1e-3
) -> Bool[Tensor, "batch num_boxes"]:
    """True for boxes that do not stick out of their image by more than ``slack_px`` at the right or at the bottom."""
    limit = sizes.flip(-1)[:, None] + slack_px
    return (boxes[None, :, 2:] <= limit).all(dim=-1)


def count_windows(
    boxes: Float[Tensor, "batch num_windows 4"] | Float[Tensor, "num_windows 4"],
    valid: Bool[Tensor, "batch num_windows"],
    objects: Float[Tensor, "batch num_objects 4"],
    objects_valid: Bool[Tensor, "batch num_objects"],
    *,
    iou_from: float = HOLDS_OBJECT_FROM,
) -> WindowCount:
    """Count the windows that are looked at and those that hold an object.

    Args:
        boxes: Of the windows.
        valid: False for windows that are not looked at.
        objects: Boxes of the objects.
        objects_valid: False for padding.
        iou_from: Overlap from which a window holds an object.
    """
    holds = (box_iou(boxes, objects) >= iou_from) & valid[..., None] & objects_valid[:, None]
    return WindowCount(
        evaluated=valid.sum(dim=1),
        on_objects=holds.any(dim=2).sum(dim=1),
        objects=objects_valid.sum(dim=1),
        reachable=holds.any(dim=1).sum(dim=1),
    )
