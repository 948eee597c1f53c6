"""Images inside a page."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

__all__ = ["Picture", "picture"]

WEBP_QUALITY = 80  # thin coloured lines stay clean from about here on


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An encoded picture and its size in pixels."""

    uri: str
    width: int
    height: int


def picture(image: Image.Image, longest_px: int, quality: int = WEBP_QUALITY) -> Picture:
    """Return an image as an address that holds it, no longer than ``longest_px``."""
    scale = min(1.0, longest_px / max(image.size))
    small = image.convert("RGB")
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        small = small.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=quality)
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return Picture(uri=f"data:image/webp;base64,{text}", width=small.width, height=small.height)
