"""Histograms made even: of whole images, and of their parts with limited contrast.

Both change the luma and add the same to all channels of a pixel. Equalising red, green and blue each by itself would
shift colours: a red field on green grass would become grey.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from snellen.errors import ConfigError
from snellen.imaging.pixels import LEVELS, WHITE, Images, as_before, flat, level_counts, luma, shifted

__all__ = ["clahe", "equalise"]


def equalise(images: Images) -> Images:
    """Return each image with a histogram of luma as even as a curve can make it.

    Noise in plain areas is amplified as much as detail; see ``clahe`` for what limits that.

    Args:
        images: Any; one of a single level stays as it is.

    Source:
        Gonzalez and Woods 2018, section 3.3; the darkest level becomes exactly black, as in OpenCV.
    """
    values = flat(images)
    levels, counts = level_counts(luma(values))
    below = counts.cumsum(1)
    total = below[:, -1:]
    first = counts.gather(1, (counts > 0).int().argmax(1, keepdim=True))
    span = (total - first).clamp(min=1)
    curves = ((below - first).clamp(min=0) * (WHITE / span)).round()
    own = torch.arange(LEVELS, device=curves.device, dtype=curves.dtype)
    curves = torch.where(first == total, own, curves)
    moved = curves.gather(1, levels.flatten(1)).view(levels.shape) - levels
    return as_before(shifted(values, moved.to(values.dtype)), images)


def clahe(images: Images, *, clip_limit: float = 2.0, tiles: int = 8) -> Images:
    """Return each image with the histograms of its parts made even, as far as the limit allows.

    Every tile has a curve of its own; pixels between the middles of tiles take the mean of the curves around them. The
    limit bounds how steep a curve is, and with it how far noise is amplified: a level takes no more pixels than
    ``clip_limit`` times its fair share, and what is above is given to all levels.

    Args:
        images: Any.
        clip_limit: 1 or more; 1 does next to nothing, 40 has no limit in effect.
        tiles: Rows and columns of tiles.

    Raises:
        ConfigError: If the limit is below 1 or there are no tiles.

    Source:
        Zuiderveld 1994, Contrast limited adaptive histogram equalization, Graphics Gems IV; how the rest that does not
        divide evenly is spread, and where the curves stand, as in OpenCV.
    """
    if clip_limit < 1 or tiles < 1:
        raise ConfigError(f"clahe needs a clip_limit of 1 or more and 1 tile or more; got {clip_limit} and {tiles}.")
    values = flat(images)
    levels, _ = level_counts(luma(values))
    curves, side = _tile_curves(levels[:, 0], clip_limit, tiles)
    levels = levels[:, 0]
    up, down, low = _neighbours(levels.shape[1], side[0], tiles, values)
    left, right, across = _neighbours(levels.shape[2], side[1], tiles, values)
    image = torch.arange(len(levels), device=levels.device)[:, None, None]
    rows, columns = (up[:, None], down[:, None]), (left[None, :], right[None, :])
    upper, lower = (
        curves[image, row, columns[0], levels] * (1 - across) + curves[image, row, columns[1], levels] * across
        for row in rows
    )
    new = (upper * (1 - low[:, None]) + lower * low[:, None]).round()
    return as_before(shifted(values, (new - levels)[:, None].to(values.dtype)), images)


def _tile_curves(
    levels: Int64[Tensor, "n height width"], clip_limit: float, tiles: int
) -> tuple[Float[Tensor, "n tiles tiles levels"], tuple[int, int]]:
    """Return the curve of each tile, and its height and width; the image goes on mirrored to fill the last."""
    number, height, width = levels.shape
    side = -(-height // tiles), -(-width // tiles)
    rows, columns = (
        _mirrored(size, length * tiles, levels) for size, length in zip((height, width), side, strict=True)
    )
    filled = levels[:, rows[:, None], columns[None, :]]
    parts = filled.view(number, tiles, side[0], tiles, side[1]).permute(0, 1, 3, 2, 4).reshape(number * tiles**2, -1)
    area = parts.shape[1]
    base = torch.arange(len(parts), device=levels.device)[:, None] * LEVELS
    counts = torch.bincount((parts + base).flatten(), minlength=len(parts) * LEVELS).view(-1, LEVELS)
    counts = _limited(counts, max(int(clip_limit * area / LEVELS), 1))
    curves = (counts.cumsum(1).float() * (WHITE / area)).round().clamp(0, WHITE)
    return curves.view(number, tiles, tiles, LEVELS), side


def _limited(counts: Int64[Tensor, "n levels"], limit: int) -> Int64[Tensor, "n levels"]:
    """Return histograms cut at a limit, with what was cut off given to all levels."""
    excess = (counts - limit).clamp(min=0).sum(1, keepdim=True)
    rest = excess % LEVELS
    # What does not divide evenly goes to levels at equal distances.
    step = torch.div(LEVELS, rest.clamp(min=1), rounding_mode="floor").clamp(min=1)
    place = torch.arange(LEVELS, device=counts.device)
    one_more = (place % step == 0) & (place // step < rest)
    return counts.clamp(max=limit) + excess // LEVELS + one_more


def _neighbours(size: int, side: int, tiles: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each row the tiles whose middles lie before and behind it, and the share of the one behind."""
    place = torch.arange(size, device=like.device, dtype=torch.float32) / side - 0.5
    before = place.floor()
    return before.long().clamp(min=0), (before.long() + 1).clamp(max=tiles - 1), place - before


def _mirrored(size: int, wanted: int, like: Tensor) -> Int64[Tensor, " wanted"]:
    """Return indices of ``wanted`` rows of an image that goes on mirrored at its last row."""
    place = torch.arange(wanted, device=like.device)
    if size == 1:
        return torch.zeros_like(place)
    turn = place % (2 * (size - 1))
    return torch.minimum(turn, 2 * (size - 1) - turn)
