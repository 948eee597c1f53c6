"""Letters as polygons on the optician's 5 × 5 grid: as high as wide, every stroke a fifth of the height.

No font file is involved, so a letter's outline is known exactly at every size and on every machine.

Source:
    Sloan 1959, "New test charts for the measurement of visual acuity"; the grid is that of ISO 8596. The
    ten Sloan letters follow its proportions; the other letters of the alphabet are drawn on the same grid.
"""

from collections.abc import Iterable
from functools import cache
from math import ceil, cos, floor, hypot, pi, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ["ALPHABET", "SLOAN_LETTERS", "letter_coverage"]

SLOAN_LETTERS = "CDHKNORSVZ"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

GRID = 5.0  # units per letter height
SUPERSAMPLING = 4  # sub-pixels per pixel and axis; 16 grey levels along an edge
ARC_STEP = pi / 24  # radians; at 64 px the polygon then leaves the circle by less than 0.2 px

Polygon = tuple[tuple[float, float], ...]


def _block(left: float, top: float, right: float, bottom: float) -> Polygon:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _slant(start: tuple[float, float], end: tuple[float, float], width: float = 1.0) -> Polygon:
    """Return a stroke between two horizontal edges, from left corner ``start`` to left corner ``end``."""
    length = abs(end[1] - start[1])
    across = width * hypot(end[0] - start[0], length) / length  # so that it is `width` thick across the stroke
    return (start, (start[0] + across, start[1]), (end[0] + across, end[1]), end)


def _arc(x: float, y: float, radius: float, first_deg: float, last_deg: float) -> Polygon:
    """Return a stroke of width 1 whose outer edge lies on a circle; 0° is right, 90° is down."""
    first, last = first_deg * pi / 180, last_deg * pi / 180
    steps = max(ceil(abs(last - first) / ARC_STEP), 1)
    angles = [first + (last - first) * step / steps for step in range(steps + 1)]
    outer = [(x + radius * cos(angle), y + radius * sin(angle)) for angle in angles]
    inner = [(x + (radius - 1) * cos(angle), y + (radius - 1) * sin(angle)) for angle in reversed(angles)]
    return tuple(outer + inner)


_LEFT = _block(0, 0, 1, 5)
_RIGHT = _block(4, 0, 5, 5)
_MIDDLE = _block(2, 0, 3, 5)
_TOP = _block(0, 0, 5, 1)
_BOTTOM = _block(0, 4, 5, 5)
_BAR = _block(0, 2, 5, 3)
_BOWL = (_block(0, 0, 3.5, 1), _block(0, 2, 3.5, 3), _arc(3.5, 1.5, 1.5, -90, 90))

_PARTS: dict[str, tuple[Polygon, ...]] = {
    "A": (
        ((1.95, 0), (3.05, 0), (1.1, 5), (0, 5)),
        ((1.95, 0), (3.05, 0), (5, 5), (3.9, 5)),
        _block(1, 3, 4, 4),
    ),
    "B": (_LEFT, *_BOWL, _block(0, 4, 3.5, 5), _arc(3.5, 3.5, 1.5, -90, 90)),
    "C": (_arc(2.5, 2.5, 2.5, 36, 324),),
    "D": (_LEFT, _block(0, 0, 2.5, 1), _block(0, 4, 2.5, 5), _arc(2.5, 2.5, 2.5, -90, 90)),
    "E": (_LEFT, _TOP, _block(0, 2, 4.5, 3), _BOTTOM),
    "F": (_LEFT, _TOP, _block(0, 2, 4.5, 3)),
    "G": (_arc(2.5, 2.5, 2.5, 0, 324), _block(2.8, 2.2, 5, 3.2)),
    "H": (_LEFT, _RIGHT, _BAR),
    "I": (_MIDDLE, _block(1, 0, 4, 1), _block(1, 4, 4, 5)),
    "J": (_block(4, 0, 5, 2.5), _arc(2.5, 2.5, 2.5, 0, 180)),
    "K": (_LEFT, ((3.6, 0), (5, 0), (1, 4), (1, 2.6)), ((1.5, 2.1), (2.5, 1.6), (5, 5), (3.7, 5))),
    "L": (_LEFT, _BOTTOM),
    "M": (_LEFT, _RIGHT, ((0, 0), (1.2, 0), (3, 3.4), (2, 3.4)), ((5, 0), (3.8, 0), (2, 3.4), (3, 3.4))),
    "N": (_LEFT, _RIGHT, ((0, 0), (1.3, 0), (5, 5), (3.7, 5))),
    "O": (_arc(2.5, 2.5, 2.5, 0, 360),),
    "P": (_LEFT, *_BOWL),
    "Q": (_arc(2.5, 2.5, 2.5, 0, 360), ((2.6, 3.2), (3.4, 2.5), (5, 4.3), (4.2, 5))),
    "R": (_LEFT, *_BOWL, ((2, 3), (3.2, 3), (5, 5), (3.7, 5))),
    "S": (
        _arc(1.5, 1.5, 1.5, 90, 270),
        _block(1.5, 0, 3.5, 1),
        _arc(3.5, 1.5, 1.5, -90, 0),
        _block(1.5, 2, 3.5, 3),
        _arc(3.5, 3.5, 1.5, -90, 90),
        _block(1.5, 4, 3.5, 5),
        _arc(1.5, 3.5, 1.5, 90, 180),
    ),
    "T": (_MIDDLE, _TOP),
    "U": (_block(0, 0, 1, 2.5), _block(4, 0, 5, 2.5), _arc(2.5, 2.5, 2.5, 0, 180)),
    "V": (((0, 0), (1.1, 0), (3.05, 5), (1.95, 5)), ((3.9, 0), (5, 0), (3.05, 5), (1.95, 5))),
    "W": (
        ((0, 0), (1, 0), (1.9, 5), (0.9, 5)),
        ((0.9, 5), (1.9, 5), (3, 1), (2, 1)),
        ((2, 1), (3, 1), (4.1, 5), (3.1, 5)),
        ((4, 0), (5, 0), (4.1, 5), (3.1, 5)),
    ),
    "X": (_slant((0, 0), (3.75, 5)), _slant((3.75, 0), (0, 5))),
    "Y": (
        _block(2, 2.2, 3, 5),
        ((0, 0), (1.2, 0), (3, 2.8), (2, 2.8)),
        ((3.8, 0), (5, 0), (3, 2.8), (2, 2.8)),
    ),
    "Z": (_TOP, _BOTTOM, ((3.6, 1), (5, 1), (1.4, 4), (0, 4))),
}


@cache
def _outlines(letter: str) -> tuple[NDArray[np.float64], ...]:
    """Return the polygons of a letter around its centre, height 1."""
    return tuple(np.asarray(part, dtype=np.float64) / GRID - 0.5 for part in _PARTS[letter])


def letter_coverage(
    letter: str, *, height: float, angle_deg: float, centre: tuple[float, float]
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Return how much of each pixel a letter covers, on the smallest patch that holds it.

    Args:
        letter: One of ``ALPHABET``.
        height: Of the upright letter, in pixels; its width is the same.
        angle_deg: Turned clockwise by this about its centre.
        centre: Column and row of the letter's middle, in pixels, continuous.

    Returns:
        Shares 0..1 (rows × columns), and the (column, row) of the patch's corner in the image, which may
        lie outside.
    """
    angle = angle_deg * pi / 180
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])  # for row vectors, y down
    polygons = [outline @ turn * height + np.asarray(centre) for outline in _outlines(letter)]
    return _filled(polygons)


def _filled(polygons: Iterable[NDArray[np.float64]]) -> tuple[NDArray[np.float32], tuple[int, int]]:
    parts = list(polygons)
    low = np.min([part.min(axis=0) for part in parts], axis=0)
    high = np.max([part.max(axis=0) for part in parts], axis=0)
    left, top = floor(float(low[0])), floor(float(low[1]))
    size = (ceil(float(high[0])) - left + 1, ceil(float(high[1])) - top + 1)
    canvas = Image.new("L", (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    for part in parts:
        # PIL counts the centre of the first sub-pixel as 0.
        points = (part - (left, top)) * SUPERSAMPLING - 0.5
        pen.polygon([(float(x), float(y)) for x, y in points], fill=255)
    patch = np.asarray(canvas.reduce(SUPERSAMPLING), dtype=np.float32) / np.float32(255)
    return patch, (left, top)
