"""Strips of text below an image: classes with their shares, captions, contact sheets."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from PIL import Image, ImageDraw

from snellen.report.fonts import drawable_text, font_for
from snellen.report.formatting import plain_text
from snellen.report.model import ImageCard
from snellen.report.palette import Color

__all__ = ["Entry", "contact_sheet", "fitted_text", "with_legend"]

_PAPER = (24, 26, 30)
_INK = (238, 240, 243)
_FAINT = (66, 71, 80)
_TEXT_SHARE = 1 / 34  # height of letters over the long side of the image above
_TEXT_PX = (12, 36)  # below, letters blur; above, the strip outweighs the image
_CAPTION_PX = 13
_GAP_PX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a legend.

    Attributes:
        text: Name of the class.
        color: Its colour in the image.
        share: Probability or share of the area, 0..1, or None to write none.
    """

    text: str
    color: Color
    share: float | None


def fitted_text(text: str, room_px: float | int, height_px: int) -> str:
    """Return as much of ``text`` as fits into ``room_px`` at a font size of ``height_px``, or nothing."""
    font = font_for(text, height_px)
    if font.getlength(text) <= room_px:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if font.getlength(text[:middle] + "...") <= room_px else (low, middle - 1)
    return text[:low] + "..." if low else ""


def with_legend(image: Image.Image, entries: Sequence[Entry], *, is_list: bool) -> Image.Image:
    """Return ``image`` above a strip that names classes.

    Args:
        image: What the strip explains.
        entries: The rows, most important first.
        is_list: True writes one class per row over a bar as long as its share; False puts them side by side.
    """
    height_px = min(_TEXT_PX[1], max(_TEXT_PX[0], round(max(image.size) * _TEXT_SHARE)))
    row_px = height_px + 9
    columns = 1 if is_list else max(1, image.width // (height_px * 11))
    rows = ceil(len(entries) / columns)
    sheet = Image.new("RGB", (image.width, image.height + rows * row_px + 4), _PAPER)
    sheet.paste(image, (0, 0))
    brush = ImageDraw.Draw(sheet)
    cell = image.width / columns
    for place, entry in enumerate(entries):
        left, top = place % columns * cell, float(image.height + 2 + place // columns * row_px)
        if is_list and entry.share is not None:
            brush.rectangle((left, top + 1, left + max(1.0, entry.share * (cell - 1)), top + row_px - 2), fill=_FAINT)
        _write_entry(brush, (left, top, cell, row_px), entry, height_px)
    return sheet


def _write_entry(
    brush: ImageDraw.ImageDraw, box: tuple[float, float, float, int], entry: Entry, height_px: int
) -> None:
    left, top, width, row_px = box
    middle = top + row_px / 2
    swatch = height_px * 0.7
    brush.rectangle((left + 5, middle - swatch / 2, left + 5 + swatch, middle + swatch / 2), fill=entry.color)
    share = "" if entry.share is None else _share_text(entry.share)
    number_font = font_for("0", height_px)
    share_px = number_font.getlength(share) + (_GAP_PX if share else 0)
    start = left + swatch + 12
    text = fitted_text(entry.text, width - (start - left) - share_px - 6, height_px)
    brush.text((start, middle), text, font=font_for(text, height_px), fill=_INK, anchor="lm")
    if share:
        brush.text((left + width - 6, middle), share, font=number_font, fill=_INK, anchor="rm")


def _share_text(share: float) -> str:
    if 0 < share < 0.001:
        return "<0.1%"
    return f"{share:.1%}" if share < 0.9995 or share == 1 else ">99.9%"


def contact_sheet(cards: Sequence[ImageCard], *, columns: int = 4, tile_px: int = 320) -> Image.Image:
    """Return many small images on one sheet, each above its caption.

    A card with a truth and a prediction takes two neighbouring tiles.

    Args:
        cards: What to show, row by row.
        columns: Tiles side by side.
        tile_px: Longest side of a tile.
    """
    tiles = [
        (
            image,
            f"{card.caption} · {kind}" if card.truth is not None and card.prediction is not None else card.caption,
        )
        for card in cards
        for image, kind in ((card.truth, "truth"), (card.prediction, "prediction"))
        if image is not None
    ]
    small = [(_small(image, tile_px), caption) for image, caption in tiles]
    columns = max(1, min(columns, len(small)))
    rows = [small[start : start + columns] for start in range(0, len(small), columns)]
    heights = [max(image.height for image, _ in row) + _CAPTION_PX + 2 * _GAP_PX for row in rows]
    sheet = Image.new("RGB", (columns * (tile_px + _GAP_PX) + _GAP_PX, sum(heights) + _GAP_PX), _PAPER)
    brush = ImageDraw.Draw(sheet)
    top = _GAP_PX
    for row, height in zip(rows, heights, strict=True):
        for column, (image, caption) in enumerate(row):
            left = _GAP_PX + column * (tile_px + _GAP_PX)
            sheet.paste(image, (left + (tile_px - image.width) // 2, top))
            text = fitted_text(drawable_text(plain_text(caption), _ascii(caption)), tile_px, _CAPTION_PX)
            font = font_for(text, _CAPTION_PX)
            brush.text((left, top + height - _GAP_PX - _CAPTION_PX), text, font=font, fill=_INK, anchor="lt")
        top += height
    return sheet


def _small(image: Image.Image, tile_px: int) -> Image.Image:
    scale = min(1.0, tile_px / max(image.size))
    return image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.LANCZOS
    )


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
