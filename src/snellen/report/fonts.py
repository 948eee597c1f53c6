"""Letters for drawings: the font that Pillow brings, and the system's for scripts which that one lacks."""

from functools import lru_cache

from PIL import ImageFont

__all__ = ["Font", "drawable_text", "font_for"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Common fonts with wide coverage on Linux, macOS and Windows, asked in this order; Pillow searches the
# folders of the system.
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSerifCJK-Bold.ttc",
    "wqy-microhei.ttc",
    "Arial Unicode.ttf",
    "PingFang.ttc",
    "msyh.ttc",
    "arial.ttf",
    "Nirmala.ttf",
)
_NO_LETTER = "\U0010ffff"  # a noncharacter: every font shows its box for missing letters
_PROBE_PX = 16


@lru_cache(maxsize=256)
def font_for(text: str, size_px: int) -> Font:
    """Return a font that has the letters of ``text``, or the built-in one if none is installed."""
    for name in ("", *_SYSTEM_FONTS):
        if _covers(name, text):
            font = _font(name, size_px)
            if font is not None:
                return font
    return ImageFont.load_default(size_px)


def drawable_text(text: str, instead: str) -> str:
    """Return ``text``, or ``instead`` if no installed font has its letters."""
    return text if any(_covers(name, text) for name in ("", *_SYSTEM_FONTS)) else instead


@lru_cache(maxsize=64)
def _font(name: str, size_px: int) -> Font | None:
    if not name:
        return ImageFont.load_default(size_px)
    try:
        return ImageFont.truetype(name, size_px)
    except OSError:  # not installed here; the next one is asked
        return None


@lru_cache(maxsize=4096)
def _covers(name: str, text: str) -> bool:
    font = _font(name, _PROBE_PX)
    if font is None:
        return False
    return text.isascii() or not any(_is_missing(name, letter) for letter in set(text) if not letter.isspace())


@lru_cache(maxsize=4096)
def _is_missing(name: str, letter: str) -> bool:
    font = _font(name, _PROBE_PX)
    if font is None or letter.isascii():
        return font is None
    return _shape(font, letter) == _shape(font, _NO_LETTER)


def _shape(font: Font, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)
