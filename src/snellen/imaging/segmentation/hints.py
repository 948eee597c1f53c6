"""What a user, or a fitted model, tells of an image before it is cut: a box, marked places, costs of classes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int32
from numpy.typing import NDArray

from snellen.errors import InputError

__all__ = ["NOTHING_TOLD", "Hints", "box_mask", "edge_strip"]

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hints:
    """What is known of an image.

    Attributes:
        box: xyxy in pixels around the one thing that is wanted, or None.
        seeds: 0 where nothing is known, else the class plus 1: 1 for background, 2 for foreground, …; or None.
        costs: Minus the logarithm of how well each class explains each pixel, from a fit; or None.
    """

    box: Box | None = None
    seeds: Int32[np.ndarray, "height width"] | None = None
    costs: Float64[np.ndarray, "classes height width"] | None = None

    @property
    def num_classes(self) -> int:
        """Classes that are spoken of; 2 if nothing is."""
        if self.costs is not None:
            return len(self.costs)
        return 2 if self.seeds is None else max(2, int(self.seeds.max(initial=0)))


NOTHING_TOLD = Hints()


def box_mask(box: Box | None, size: tuple[int, int], *, margin: float) -> Bool[np.ndarray, "height width"]:
    """Return the pixels whose centres lie in a box.

    Args:
        box: xyxy in pixels; None for the image without a margin.
        size: Height and width of the image.
        margin: Share of each side of the image that is left out where there is no box.

    Raises:
        InputError: If no pixel is in the box, or none is outside.
    """
    height, width = size
    x0, y0, x1, y1 = box or (margin * width, margin * height, (1 - margin) * width, (1 - margin) * height)
    inside = _centres_in((x0, y0, x1, y1), size)
    if not inside.any() or inside.all():
        what = "no pixel" if not inside.any() else "every pixel"
        raise InputError(
            f"a box x0,y0,x1,y1 must hold some pixels of the image and leave some outside; {x0:g},{y0:g},{x1:g},{y1:g} "
            f"holds {what} of {width} × {height}. Draw it closer around what is wanted."
        )
    return inside


def edge_strip(box: Box, size: tuple[int, int], *, margin: float) -> Bool[np.ndarray, "height width"]:
    """Return the pixels of a box along those of its sides that lie at the edge of the image.

    Beyond such a side there is nothing to learn the background from; things rarely fill the last strip of all of it.

    Args:
        box: xyxy in pixels.
        size: Height and width of the image.
        margin: Share of the image's side within which a side of the box counts as at the edge, and share of the box's
            side that the strip has.

    Returns:
        No pixel where the strips are the whole box.
    """
    height, width = size
    x0, y0, x1, y1 = max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)
    across, down = margin * (x1 - x0), margin * (y1 - y0)
    inner = (
        x0 + across if x0 < margin * width else x0,
        y0 + down if y0 < margin * height else y0,
        x1 - across if x1 > (1 - margin) * width else x1,
        y1 - down if y1 > (1 - margin) * height else y1,
    )
    kept = _centres_in(inner, size)
    return np.asarray(_centres_in(box, size) & ~kept & kept.any())


def _centres_in(box: Box, size: tuple[int, int]) -> NDArray[np.bool_]:
    x0, y0, x1, y1 = box
    rows, columns = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    return np.outer((rows >= y0) & (rows < y1), (columns >= x0) & (columns < x1))
