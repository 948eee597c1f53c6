"""Pictures of the places at fault: boxes drawn, small ones enlarged, the two of a pair side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from snellen.data import DatasetIndex, is_image_name, read_image
from snellen.doctor import Place
from snellen.errors import DatasetError
from snellen.report.diagnosis_text import place_text
from snellen.report.drawing import draw
from snellen.report.formatting import plain_text
from snellen.report.objects import DrawnObject, canvas_box, with_objects
from snellen.report.pictures import Picture, picture
from snellen.structures import BoxTarget

__all__ = ["Album", "Shot"]

LONGEST_PX = 360  # of a picture: three stand side by side on a usual screen
QUALITY = 62  # enough to recognise what is shown; about 12 KB for a photograph
_DETAIL_SHARE = 0.15  # of the image's side; smaller boxes are shown enlarged, with what surrounds them
_SURROUNDINGS = 5.0  # sides of the box that its surroundings measure
_LEAST_DETAIL_PX = 48
_FAULT_COLOR = 4  # the yellow among the colours of classes, which stands out from most photographs


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One place in pictures: each with a name, side by side."""

    caption: str
    halves: tuple[tuple[str, Picture], ...]


@dataclass(kw_only=True)
class Album:
    """Makes pictures of places as long as there is room for them in the page.

    Attributes:
        root: To which names of images are relative.
        index: Its classes and masks are drawn where a place has no boxes of its own; None draws nothing.
        room: Bytes that may still be used.
    """

    root: Path
    index: DatasetIndex | None = None
    room: int = 4_000_000

    def shots(self, places: tuple[Place, ...], most: int) -> Iterator[Shot]:
        """Yield pictures of the first places that can be shown."""
        made = 0
        for place in places:
            if made == most or self.room <= 0:
                return
            if place.kind not in ("image", "file") or not is_image_name(place.name):
                continue
            halves = tuple(self._halves(place))
            if not halves:
                continue
            self.room -= sum(len(half.uri) for _, half in halves)
            made += 1
            yield Shot(caption=plain_text(place_text(place)), halves=halves)

    def _halves(self, place: Place) -> Iterator[tuple[str, Picture]]:
        first = self._drawn(place.name, place)
        if first is None:
            return
        yield plain_text(Path(place.name).name) if place.twin else "", first
        if place.twin:
            second = self._drawn(place.twin, None)
            if second is not None:
                yield plain_text(Path(place.twin).name), second

    def _drawn(self, name: str, place: Place | None) -> Picture | None:
        try:
            image = read_image(self.root / name)
            drawn = _with_boxes(image, place) if place is not None and place.boxes else self._annotated(image, name)
        except DatasetError:
            return None  # the place is named; there is no picture of what cannot be read
        return picture(drawn, LONGEST_PX, QUALITY)

    def _annotated(self, image: Tensor, name: str) -> Image.Image:
        row = self._rows.get(name)
        if row is None or self.index is None or self.index.target_type is BoxTarget:  # boxes would hide the image
            return Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
        target = self.index.target(row, (image.shape[-2], image.shape[-1]))
        return draw(image, target, self.index.classes, smallest_px=LONGEST_PX, largest_px=LONGEST_PX)

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        return {} if self.index is None else {self.index.paths[row]: row for row in range(len(self.index))}


def _with_boxes(image: Tensor, place: Place) -> Image.Image:
    canvas = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))  # [height, width, 3]
    left, top, right, bottom = _frame(canvas.size, place.boxes)
    scale = LONGEST_PX / max(right - left, bottom - top)
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    shown = canvas.crop((left, top, right, bottom)).resize(size, Image.Resampling.LANCZOS)
    shift = torch.tensor((left, top, left, top))
    objects = [
        DrawnObject(
            box=canvas_box(torch.tensor(box) - shift, shown.size, scale), label=_FAULT_COLOR, text="", mask=None
        )
        for box in place.boxes
    ]
    return with_objects(shown, objects)


def _frame(size: tuple[int, int], boxes: tuple[tuple[float, float, float, float], ...]) -> tuple[int, int, int, int]:
    """Return the part of the image to show: all of it, or the surroundings of boxes that are small in it."""
    width, height = size
    corners = np.nan_to_num(np.array([_ordered(box) for box in boxes]), nan=0.0, posinf=width, neginf=0.0)
    left, top = corners[:, :2].min(0)
    right, bottom = corners[:, 2:].max(0)
    extent = max(right - left, bottom - top)
    if extent >= _DETAIL_SHARE * max(size):
        return 0, 0, width, height
    half = max(_LEAST_DETAIL_PX, extent * _SURROUNDINGS) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    near = (max(0, int(x - half)), max(0, int(y - half)))
    frame = (*near, min(width, int(x + half) + 1), min(height, int(y + half) + 1))
    is_inside = frame[2] - frame[0] >= half and frame[3] - frame[1] >= half
    return frame if is_inside else (0, 0, width, height)


def _ordered(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
