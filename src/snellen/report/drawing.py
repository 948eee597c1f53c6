"""Truths and predictions drawn on their image: boxes, masks, classes and values, by a table keyed by type.

Nothing here scales what it is told: coordinates and masks are those of the image that is passed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from snellen.errors import InputError, ShapeError
from snellen.metrics import Decision
from snellen.report.image_legends import (
    class_name,
    class_score_rows,
    class_target_rows,
    label_score_rows,
    label_set_rows,
    value_estimate_rows,
    value_rows,
)
from snellen.report.legends import Entry, with_legend
from snellen.report.objects import (
    IGNORED_COLOR,
    MASK_OPACITY,
    DrawnObject,
    canvas_box,
    edges,
    with_objects,
    write_note,
)
from snellen.report.palette import class_color
from snellen.structures import (
    IGNORE_LABEL,
    BoxTarget,
    ClassScores,
    ClassTarget,
    Detections,
    LabelSetScores,
    LabelSetTarget,
    MaskTarget,
    Prediction,
    SegmentationMap,
    Target,
    ValueEstimates,
    ValueTarget,
)

__all__ = ["draw"]

_LEGEND_ROWS = 12  # classes named below a segmentation; the smallest are summed up as "others"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """What every drawer needs besides the image."""

    classes: Sequence[str]
    min_score: float
    scale: float
    decision: Decision | None


def draw(
    image: UInt8[Tensor, "3 height width"],
    what: Target | Prediction,
    classes: Sequence[str],
    *,
    min_score: float = 0.3,
    smallest_px: int = 320,
    largest_px: int | None = None,
    decision: Decision | None = None,
) -> Image.Image:
    """Return ``image`` with a truth or a prediction drawn on it.

    Boxes carry names and scores that stay on the canvas; masks are tinted; classes of an image and of pixels
    are named in a strip below the image, so that nothing is covered.

    Args:
        image: RGB, 0..255.
        what: In the pixels of ``image``, for one image (no batch axis).
        classes: Names in label order; a label beyond them is drawn as its number.
        min_score: Detections below are counted in the corner, not drawn.
        smallest_px: An image whose long side is shorter is enlarged until labels are legible.
        largest_px: An image whose long side is longer is reduced before labels are drawn; None keeps it.
        decision: How a model's probabilities name classes; None for the most probable one.

    Raises:
        ShapeError: If the image is not [3, height, width], or masks have another size than the image.
        InputError: If ``what`` is of a type that cannot be drawn.
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise ShapeError(
            f"draw expects an RGB image of shape [3, height, width]; got {list(image.shape)}. "
            "Pass one image without a batch axis; repeat a single channel three times."
        )
    drawer = _DRAWERS.get(type(what))
    if drawer is None:
        known = ", ".join(kind.__name__ for kind in _DRAWERS)
        raise InputError(f"draw expects one of {known}; got {type(what).__name__}. Pass a truth or a prediction.")
    pixels = image.permute(1, 2, 0).cpu().numpy()  # [height, width, 3]
    canvas = Image.fromarray(np.ascontiguousarray(pixels))
    scale = _scale(max(canvas.size), smallest_px, largest_px)
    if scale != 1:
        size = (max(1, round(canvas.width * scale)), max(1, round(canvas.height * scale)))
        canvas = canvas.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
    return drawer(canvas, what, _Style(classes=classes, min_score=min_score, scale=scale, decision=decision))


def _scale(long_side: int, smallest_px: int, largest_px: int | None) -> float:
    if long_side < smallest_px:
        return float(-(-smallest_px // long_side))  # a whole number keeps pixels square
    if largest_px is not None and long_side > largest_px:
        return largest_px / long_side
    return 1.0


def _draw_box_target(canvas: Image.Image, what: BoxTarget, style: _Style) -> Image.Image:
    objects = []
    for row in np.flatnonzero(what.valid.cpu().numpy()):
        is_ignored = bool(what.ignored[row])
        name = class_name(int(what.labels[row]), style.classes)
        objects.append(
            DrawnObject(
                box=canvas_box(what.boxes[row], canvas.size, style.scale),
                label=int(what.labels[row]),
                text=f"{name} (ignored)" if is_ignored else name,
                mask=_mask(what.masks, int(row), canvas, style),
                is_ignored=is_ignored,
            )
        )
    return with_objects(canvas, objects)


def _draw_detections(canvas: Image.Image, what: Detections, style: _Style) -> Image.Image:
    scores = what.scores.cpu().tolist()
    shown = [row for row, score in enumerate(scores) if score >= style.min_score]
    objects = [
        DrawnObject(
            box=canvas_box(what.boxes[row], canvas.size, style.scale),
            label=int(what.labels[row]),
            text=f"{class_name(int(what.labels[row]), style.classes)} {scores[row]:.2f}",
            mask=_mask(what.masks, row, canvas, style),
        )
        for row in shown
    ]
    drawn = with_objects(canvas, objects)
    hidden = len(scores) - len(shown)
    if hidden:
        write_note(drawn, f"+ {hidden} below {style.min_score:.2g}")
    return drawn


def _listed(rows: Callable[[Any, Sequence[str]], list[Entry]]) -> Callable[..., Image.Image]:
    """Return what writes rows about a whole image below it."""

    def drawn(canvas: Image.Image, what: Target | Prediction, style: _Style) -> Image.Image:
        return with_legend(canvas, rows(what, style.classes), is_list=True)

    return drawn


def _decided(rows: Callable[[Any, Sequence[str], Decision | None], list[Entry]]) -> Callable[..., Image.Image]:
    """Return what writes predicted classes of a whole image below it, by the decision that was chosen."""

    def drawn(canvas: Image.Image, what: Target | Prediction, style: _Style) -> Image.Image:
        return with_legend(canvas, rows(what, style.classes, style.decision), is_list=True)

    return drawn


def _draw_label_map(canvas: Image.Image, what: MaskTarget | SegmentationMap, style: _Style) -> Image.Image:
    labels = what.labels.cpu().numpy()
    _check_size(labels.shape, canvas, style)
    resized = np.asarray(Image.fromarray(labels).resize(canvas.size, Image.Resampling.NEAREST))
    present, counts = np.unique(labels, return_counts=True)
    colors = np.zeros((256, 3), dtype=np.float32)
    for label in present:
        colors[label] = IGNORED_COLOR if label == IGNORE_LABEL else class_color(int(label))
    pixels = np.asarray(canvas, dtype=np.float32)
    tinted = (1 - MASK_OPACITY) * pixels + MASK_OPACITY * colors[resized]
    tinted[edges(resized)] = colors[resized][edges(resized)]
    entries = _area_entries(present, counts, style)
    return with_legend(Image.fromarray(tinted.round().astype(np.uint8)), entries, is_list=False)


def _area_entries(present: UInt8[np.ndarray, " n"], counts: np.ndarray, style: _Style) -> list[Entry]:
    order = np.argsort(-counts, kind="stable")
    total = int(counts.sum())
    entries = [
        Entry(
            text="ignored" if present[row] == IGNORE_LABEL else class_name(int(present[row]), style.classes),
            color=IGNORED_COLOR if present[row] == IGNORE_LABEL else class_color(int(present[row])),
            share=int(counts[row]) / total,
        )
        for row in order[:_LEGEND_ROWS]
    ]
    rest = order[_LEGEND_ROWS:]
    if len(rest):
        share = int(counts[rest].sum()) / total
        entries.append(Entry(text=f"{len(rest)} others", color=IGNORED_COLOR, share=share))
    return entries


def _mask(
    masks: Tensor | None, row: int, canvas: Image.Image, style: _Style
) -> UInt8[np.ndarray, "height width"] | None:
    if masks is None:
        return None
    mask = masks[row].cpu().numpy()
    _check_size(mask.shape, canvas, style)
    return np.asarray(Image.fromarray(mask).resize(canvas.size, Image.Resampling.NEAREST))


def _check_size(shape: tuple[int, ...], canvas: Image.Image, style: _Style) -> None:
    expected = (max(1, round(shape[1] * style.scale)), max(1, round(shape[0] * style.scale)))
    if expected != canvas.size:
        height, width = round(canvas.height / style.scale), round(canvas.width / style.scale)
        raise ShapeError(
            f"draw expects masks of the image's size [{height}, {width}]; got {list(shape)}. "
            "Pass masks in the pixels of the image that is drawn on."
        )


_DRAWERS: Mapping[type, Callable[..., Image.Image]] = {
    BoxTarget: _draw_box_target,
    Detections: _draw_detections,
    ClassTarget: _listed(class_target_rows),
    ClassScores: _decided(class_score_rows),
    LabelSetTarget: _listed(label_set_rows),
    LabelSetScores: _decided(label_score_rows),
    MaskTarget: _draw_label_map,
    SegmentationMap: _draw_label_map,
    ValueTarget: _listed(value_rows),
    ValueEstimates: _listed(value_estimate_rows),
}
