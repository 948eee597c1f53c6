"""Windows that cover a large image."""

from math import ceil
from typing import NamedTuple

from snellen.errors import InputError

__all__ = ["Tile", "tiles_of"]


class Tile(NamedTuple):
    """A window of an image, in its pixels."""

    top: int
    left: int
    bottom: int
    right: int


def _starts(length: int, tile_px: int, overlap_px: int) -> list[int]:
    if length <= tile_px:
        return [0]
    count = ceil((length - overlap_px) / (tile_px - overlap_px))
    # Spread evenly: the last tile ends at the edge, and all overlaps are at least what was asked for.
    return [round(step * (length - tile_px) / (count - 1)) for step in range(count)]


def tiles_of(size: tuple[int, int], *, tile_px: int, overlap_px: int) -> list[Tile]:
    """Cut an image into windows of at most ``tile_px`` a side that overlap by at least ``overlap_px``.

    Args:
        size: Height and width of the image.
        tile_px: Side of a tile; an image side shorter than this is not cut.
        overlap_px: Choose it larger than the largest object that must be seen whole.

    Raises:
        InputError: If the overlap is not smaller than the tile, or the image is empty.
    """
    if not 0 <= overlap_px < tile_px or min(size) < 1:
        raise InputError(
            f"tiles must be larger than their overlap, and the image not empty; got tiles of {tile_px} px "
            f"with overlap {overlap_px} px on an image of {size[0]} × {size[1]}. A quarter of the tile is a "
            "good overlap."
        )
    height, width = min(tile_px, size[0]), min(tile_px, size[1])
    return [
        Tile(top, left, top + height, left + width)
        for top in _starts(size[0], tile_px, overlap_px)
        for left in _starts(size[1], tile_px, overlap_px)
    ]
