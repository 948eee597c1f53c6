"""Where labels go when images are transformed: seen on images on which the labels are drawn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.loop_parts import LabelTransform
from snellen.doctor.examining import untouched
from snellen.doctor.examining.subject import seed_everything
from snellen.doctor.words import Text
from snellen.structures import IGNORE_LABEL

__all__ = ["LabelMotion", "MotionDraw", "label_motion"]

_NUM_DRAWS = 24
_HEIGHT, _WIDTH = 240, 320  # of the probe, pixels; unequal, so that axes cannot be mixed up unseen
_DARK, _LIGHT = 60, 255  # bytes; darkness is left for pixels that come in from outside
_LIGHT_SHARE = 0.7  # of the range of brightness from which on a pixel counts as part of the object
_LEAST_SIDE_PX = 12  # of what is left of an object, so that an edge that is off by one pixel does not count
_CLASS = 7  # far from 0, so that a blend of the two is another class


@dataclass(frozen=True, kw_only=True)
class MotionDraw:
    """One draw of the transform.

    Attributes:
        iou: Of the label and of what is seen; None where too little is seen, or the label was dropped.
        is_resized: Whether the image came out in another size.
        is_unmoved: Whether the boxes have the same numbers as before.
        new_values: Values in a mask that are no class.
    """

    iou: float | None
    is_resized: bool
    is_unmoved: bool
    new_values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class LabelMotion:
    """What became of labels in many draws.

    Attributes:
        kind: ``boxes`` or ``mask``.
        draws: Each of them.
    """

    kind: str
    draws: tuple[MotionDraw, ...]

    @property
    def ious(self) -> tuple[float, ...]:
        """Of the draws in which there is something to compare."""
        return tuple(draw.iou for draw in self.draws if draw.iou is not None)


def label_motion(transform: LabelTransform) -> LabelMotion:
    """Transform images on which one rectangle is drawn, each time at another place.

    Raises:
        NotCheckable: If there is no function, or it takes or returns something else.
    """
    if transform.boxes is None and transform.mask is None:
        raise NotCheckable(Text(en="labels of whole images do not move with them", zh="整幅图像的标签不随图像移动"))
    places = np.random.default_rng(0)
    draw = _box_draw if transform.boxes is not None else _mask_draw
    with untouched():
        seed_everything(0)
        try:
            draws = tuple(draw(transform, _rectangle(places)) for _ in range(_NUM_DRAWS))
        except (TypeError, ValueError, AttributeError, IndexError, KeyError, RuntimeError) as error:
            told = f"{type(error).__name__}: {error}"
            raise NotCheckable(
                Text(
                    en=f"the transform cannot be called on an image with labels ({told})",
                    zh=f"无法对带标注的图像调用该变换（{told}）",
                )
            ) from error
    return LabelMotion(kind="boxes" if transform.boxes is not None else "mask", draws=draws)


def _rectangle(places: np.random.Generator) -> tuple[int, int, int, int]:
    left, top = int(places.integers(20, _WIDTH - 150)), int(places.integers(20, _HEIGHT - 130))
    return left, top, left + int(places.integers(70, 120)), top + int(places.integers(50, 100))


def _drawn(place: tuple[int, int, int, int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    left, top, right, bottom = place
    inside = np.zeros((_HEIGHT, _WIDTH), bool)
    inside[top:bottom, left:right] = True
    image = np.where(inside, _LIGHT, _DARK).astype(np.uint8)
    return np.repeat(image[:, :, None], 3, axis=2), inside


def _box_draw(transform: LabelTransform, place: tuple[int, int, int, int]) -> MotionDraw:
    image, _ = _drawn(place)
    given = np.array([place], np.float32)
    if transform.boxes is None:
        raise TypeError("no function of boxes")
    changed, boxes = transform.boxes(image, given.copy())
    light, now = _seen(changed), np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    box = _box_of(light)
    return MotionDraw(
        iou=None if box is None or not len(now) else _iou(box, now[0]),
        is_resized=light.shape != (_HEIGHT, _WIDTH),
        is_unmoved=len(now) == 1 and bool(np.allclose(now, given, atol=0.5)),
        new_values=(),
    )


def _mask_draw(transform: LabelTransform, place: tuple[int, int, int, int]) -> MotionDraw:
    image, inside = _drawn(place)
    if transform.mask is None:
        raise TypeError("no function of masks")
    changed, after = transform.mask(image, np.where(inside, _CLASS, 0).astype(np.int64))
    light, mask = _seen(changed), np.asarray(after)
    mask = mask.reshape(mask.shape[-2:]) if mask.ndim > 2 else mask
    known = (mask == 0) | (mask == _CLASS)
    counts = known | (mask == IGNORE_LABEL) | (mask < 0)
    iou = None
    if light.shape == mask.shape:
        seen, told = light & known, (mask == _CLASS)
        box = _box_of(seen)
        union = int((seen | told).sum())
        iou = None if box is None else float((seen & told).sum() / union)
    return MotionDraw(
        iou=iou,
        is_resized=light.shape != (_HEIGHT, _WIDTH),
        is_unmoved=False,
        new_values=tuple(np.unique(mask[~counts].astype(np.float64)).tolist()[:5]),
    )


def _seen(image: Any) -> NDArray[np.bool_]:
    """Return where an image of any layout and range of values is light."""
    values = np.asarray(image).astype(np.float64)
    if values.ndim == 3:
        values = values.mean(0) if values.shape[0] in (1, 3) and values.shape[2] not in (1, 3) else values.mean(2)
    low, high = float(values.min()), float(values.max())
    return values > low + _LIGHT_SHARE * (high - low) if high > low else np.zeros(values.shape, bool)


def _box_of(light: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Return the box around what is light, continuous edges; None if it is too small to be compared."""
    rows, columns = np.flatnonzero(light.any(1)), np.flatnonzero(light.any(0))
    if len(rows) < _LEAST_SIDE_PX or len(columns) < _LEAST_SIDE_PX:
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def _iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = float(np.prod(np.clip(sides, 0, None)))
    areas = float(np.prod(first[2:] - first[:2]) + np.prod(np.clip(second[2:] - second[:2], 0, None)))
    return shared / (areas - shared) if areas > shared else 0.0
