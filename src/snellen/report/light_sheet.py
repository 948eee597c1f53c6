"""Images before and after their light was changed, side by side, each above the histogram of its channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from snellen.report.fonts import drawable_text, font_for
from snellen.report.formatting import plain_text
from snellen.report.legends import fitted_text

__all__ = ["LightCard", "light_sheet"]

_PAPER, _INK, _SOFT, _FIELD = (24, 26, 30), (238, 240, 243), (160, 166, 176), (38, 41, 47)
# Red, green, blue as they are told apart by most people, and grey for images of one channel.
_CHANNELS = ((240, 96, 84), (86, 190, 120), (96, 150, 250))
_GREY = (200, 204, 210)
_TEXT_PX, _SMALL_PX, _GAP_PX = 15, 13, 12
_PLOT_PX = 72  # height of a histogram
_SMOOTHED = np.array([1, 2, 3, 2, 1]) / 9  # levels that are left out after a stretch would make a comb
_TALLEST = 0.99  # quantile of the counts that fills the plot: a burnt ground would press the rest flat


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LightCard:
    """One image before and after.

    Attributes:
        caption: Its name.
        told: What was done, and why.
        before: ``[height, width, channels]``, bytes.
        after: The same.
    """

    caption: str
    told: str
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]


def light_sheet(cards: Sequence[LightCard], *, columns: int = 2, tile_px: int = 300) -> Image.Image:
    """Return a sheet of images before and after, with their histograms.

    Args:
        cards: Row by row; each takes two tiles.
        columns: Cards side by side.
        tile_px: Longest side of a tile.
    """
    drawn = [_card(card, tile_px) for card in cards]
    columns = max(1, min(columns, len(drawn)))
    rows = [drawn[start : start + columns] for start in range(0, len(drawn), columns)]
    heights = [max(card.height for card in row) for row in rows]
    width = columns * (2 * tile_px + 2 * _GAP_PX) + _GAP_PX
    sheet = Image.new("RGB", (width, sum(heights) + (len(rows) + 1) * _GAP_PX), _PAPER)
    top = _GAP_PX
    for row, height in zip(rows, heights, strict=True):
        for place, card in enumerate(row):
            sheet.paste(card, (_GAP_PX + place * (2 * tile_px + 2 * _GAP_PX), top))
        top += height + _GAP_PX
    return sheet


def _card(card: LightCard, tile_px: int) -> Image.Image:
    pictures = [_small(pixels, tile_px) for pixels in (card.before, card.after)]
    height = max(picture.height for picture in pictures)
    head = _TEXT_PX + _SMALL_PX + 14
    width = 2 * tile_px + _GAP_PX
    drawn = Image.new("RGB", (width, head + height + 6 + _PLOT_PX), _PAPER)
    brush = ImageDraw.Draw(drawn)
    for text, top, size, ink in ((card.caption, 0, _TEXT_PX, _INK), (card.told, _TEXT_PX + 6, _SMALL_PX, _SOFT)):
        line = fitted_text(drawable_text(plain_text(text), _ascii(text)), width, size)
        brush.text((0, top), line, font=font_for(line, size), fill=ink, anchor="lt")
    for place, (picture, pixels) in enumerate(zip(pictures, (card.before, card.after), strict=True)):
        left = place * (tile_px + _GAP_PX)
        drawn.paste(picture, (left + (tile_px - picture.width) // 2, head + (height - picture.height) // 2))
        drawn.paste(_histogram(pixels, tile_px), (left, head + height + 6))
    return drawn


def _small(pixels: NDArray[np.uint8], tile_px: int) -> Image.Image:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    scale = min(1.0, tile_px / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _histogram(pixels: NDArray[np.uint8], width: int) -> Image.Image:
    """Return the counts of the levels, left black and right white, a line for each channel."""
    channels = [pixels[..., place] for place in range(pixels.shape[2])]
    if all(np.array_equal(channels[0], channel) for channel in channels[1:]):
        channels = channels[:1]
    counts = np.stack([np.bincount(channel.ravel(), minlength=256) for channel in channels]).astype(np.float64)
    smooth = np.stack([np.convolve(line, _SMOOTHED, mode="same") for line in counts])
    tallest = max(float(np.quantile(smooth, _TALLEST)), float(smooth.max()) / 8, 1.0)
    plot = Image.new("RGB", (width, _PLOT_PX), _FIELD)
    brush = ImageDraw.Draw(plot)
    for line, ink in zip(smooth, (_GREY,) if len(smooth) == 1 else _CHANNELS, strict=True):
        brush.line(_points(np.minimum(line / tallest, 1.0), width), fill=ink, width=2, joint="curve")
    return plot


def _points(shares: NDArray[np.float64], width: int) -> list[tuple[float, float]]:
    across = np.linspace(1, width - 2, len(shares))
    down = _PLOT_PX - 3 - shares * (_PLOT_PX - 8)
    pairs: Any = zip(across.tolist(), down.tolist(), strict=True)
    return list(pairs)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
