"""Boxes, masks and their labels on an image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Integer, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from snellen.report.fonts import Font, font_for
from snellen.report.legends import fitted_text
from snellen.report.palette import class_color, ink_on

__all__ = [
    "IGNORED_COLOR",
    "MASK_OPACITY",
    "DrawnObject",
    "canvas_box",
    "edges",
    "with_objects",
    "write_note",
]

_LABEL_SHARE = 1 / 35  # height of letters over the long side: 18 px at 640, about a caption's size on a page
_LABEL_PX = (11, 40)  # below, letters blur; above, they hide the image
_LINE_SHARE = 1 / 220  # width of a box's line over the long side
MASK_OPACITY = 0.45
IGNORED_COLOR = (170, 170, 170)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnObject:
    """A box as it will be drawn, in pixels of the canvas."""

    box: tuple[float, float, float, float]
    label: int
    text: str
    mask: UInt8[np.ndarray, "height width"] | None
    is_ignored: bool = False


def with_objects(canvas: Image.Image, objects: Sequence[DrawnObject]) -> Image.Image:
    """Return ``canvas`` with the objects drawn on it; the first lies on top, its label is placed first."""
    drawn = _with_masks(canvas, objects)
    brush = ImageDraw.Draw(drawn)
    width = max(2, round(max(canvas.size) * _LINE_SHARE))
    for item in reversed(objects):  # the best lies on top
        box = tuple(item.box)
        color = IGNORED_COLOR if item.is_ignored else class_color(item.label)
        brush.rectangle(_grown(box, 1), outline=(0, 0, 0), width=width + 2)
        brush.rectangle(box, outline=color, width=width)
    taken: list[tuple[float, float, float, float]] = []
    for item in objects:
        taken.append(_write_label(brush, canvas.size, item, taken))
    return drawn


def _with_masks(canvas: Image.Image, objects: Sequence[DrawnObject]) -> Image.Image:
    if all(item.mask is None for item in objects):
        return canvas.copy()
    pixels = np.asarray(canvas, dtype=np.float32).copy()
    for item in reversed(objects):
        if item.mask is None:
            continue
        inside = item.mask > 0
        color = np.array(IGNORED_COLOR if item.is_ignored else class_color(item.label), dtype=np.float32)
        pixels[inside] = (1 - MASK_OPACITY) * pixels[inside] + MASK_OPACITY * color
        pixels[edges(item.mask) & inside] = (255, 255, 255)
    return Image.fromarray(pixels.round().astype(np.uint8))


def edges(labels: Integer[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Return where a pixel differs from its right or lower neighbour."""
    edges = np.zeros(labels.shape, dtype=bool)
    edges[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edges[:-1, :] |= labels[:-1, :] != labels[1:, :]
    return edges


def _write_label(
    brush: ImageDraw.ImageDraw,
    size: tuple[int, int],
    item: DrawnObject,
    taken: Sequence[tuple[float, float, float, float]],
) -> tuple[float, float, float, float]:
    """Write the label where it lies on the canvas and, if it can, on no other label; return its rectangle."""
    height_px = _label_px(size)
    text, font = _fitted(item.text, size[0] - 6, height_px)
    if not text:
        return 0.0, 0.0, 0.0, 0.0  # an image narrower than a letter
    bounds = brush.textbbox((0, 0), text, font=font)
    width, height = bounds[2] - bounds[0] + 6, height_px + 5
    left, top, right, bottom = item.box
    places = [
        (left, top - height),
        (left, top),
        (left, bottom),
        (right - width, top - height),
        (left, bottom - height),
    ]
    spots = [_within((x, y, x + width, y + height), size) for x, y in places]
    spot = next((spot for spot in spots if not any(_overlap(spot, other) for other in taken)), spots[0])
    color = IGNORED_COLOR if item.is_ignored else class_color(item.label)
    brush.rectangle(spot, fill=color)
    middle = (spot[1] + spot[3]) / 2
    ink_middle = (bounds[1] + bounds[3]) / 2
    brush.text((spot[0] + 3 - bounds[0], middle - ink_middle), text, font=font, fill=ink_on(color))
    return spot


def write_note(drawn: Image.Image, text: str) -> None:
    """Write a short text into the lower left corner, if the image is wide enough for it."""
    brush = ImageDraw.Draw(drawn)
    text, font = _fitted(text, drawn.width - 6, _label_px(drawn.size))
    if not text:
        return
    bounds = brush.textbbox((0, 0), text, font=font)
    left, top = 3, drawn.height - (bounds[3] - bounds[1]) - 7
    brush.rectangle((0, top - 3, left + bounds[2] + 4, drawn.height), fill=(0, 0, 0))
    brush.text((left, top - bounds[1]), text, font=font, fill=(255, 255, 255))


def _fitted(text: str, room_px: float | int, height_px: int) -> tuple[str, Font]:
    fitting = fitted_text(text, room_px, height_px)
    return fitting, font_for(fitting, height_px)


def _label_px(size: tuple[int, int]) -> int:
    return min(_LABEL_PX[1], max(_LABEL_PX[0], round(max(size) * _LABEL_SHARE)))


def _within(spot: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    width, height = spot[2] - spot[0], spot[3] - spot[1]
    left = max(0.0, min(spot[0], size[0] - 1 - width))
    top = max(0.0, min(spot[1], size[1] - 1 - height))
    return left, top, left + width, top + height


def _overlap(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _grown(box: tuple[float, ...], by: float | int) -> tuple[float, float, float, float]:
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def canvas_box(box: Tensor, size: tuple[int, int], scale: float) -> tuple[float, float, float, float]:
    """Return a box that Pillow can draw: corners sorted, and cut one canvas beyond the canvas.

    Pillow walks every pixel of an outline, those that nobody sees included.
    """
    beyond = float(max(size))
    far = np.array([*size, *size], dtype=np.float64) + beyond
    x0, y0, x1, y1 = np.clip(np.nan_to_num(box.double().cpu().numpy() * scale), -beyond, far).tolist()
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
