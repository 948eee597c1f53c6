"""Images that are changed and written anew: in their own format, upright, with their depth, colours and EXIF data kept.

Grey of 16 bits stays grey of 16 bits. Colours of 16 bits are decoded to 8 by Pillow, which is told. The first frame of
an animation is taken; transparent pixels are put on white, as when images are read to be learned.
"""

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from snellen.data.images import (
    DEEP_MODES,
    PILLOW_ERRORS,
    full_scale,
    image_content,
    rgb_pixels,
    unreadable_image,
)

__all__ = ["EditableImage", "can_hold", "editable_image", "write_edited"]

Pixels = UInt8[Tensor, "channels height width"] | Float[Tensor, "1 height width"]

JPEG_QUALITY = 95  # above, files grow and nothing is seen
_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".ppm": "PPM",
    ".pgm": "PPM",
}
_DEEP_SUFFIXES = (".png", ".tif", ".tiff")
_DEEP_WHITE = 65535.0
_GREY_MODES = ("1", "L")


@dataclass(frozen=True, slots=True, kw_only=True)
class EditableImage:
    """An image as it was read to be changed.

    Attributes:
        pixels: ``[3, height, width]`` or, of grey files, ``[1, height, width]``, upright; bytes, or of deep grey
            float32 in 0..255 with all its levels.
        notes: Conversions that may surprise, as `decoded_image` names them, and ``16-bit-colour``.
        exif: What the file says beside its orientation; empty without.
        profile: ICC profile of its colours; empty without.
    """

    pixels: Pixels
    notes: tuple[str, ...]
    exif: bytes
    profile: bytes

    @property
    def is_deep(self) -> bool:
        """Whether it has more than eight bits."""
        return self.pixels.is_floating_point()


def editable_image(path: Path) -> EditableImage:
    """Return an image file to be changed.

    Raises:
        DatasetError: If the file is missing, empty, truncated, too large, or no image.
    """
    content = image_content(path)
    try:
        with Image.open(BytesIO(content)) as image:
            raw_mode = str(image.tile[0][3]) if getattr(image, "tile", None) else ""
            is_grey, is_deep = image.mode in _GREY_MODES, image.mode in DEEP_MODES
            pixels, notes = rgb_pixels(image)
            upright = ImageOps.exif_transpose(image)
            exif = upright.info.get("exif", b"")
            values = _deep_levels(np.asarray(upright), image) if is_deep else pixels
            profile = image.info.get("icc_profile") or b""
    except PILLOW_ERRORS as error:
        raise unreadable_image(path, content, error) from error
    whole = torch.from_numpy(values if values.ndim == 3 else values[..., None]).permute(
        2, 0, 1
    )  # [h, w, c] -> [c, h, w]
    return EditableImage(
        pixels=(whole[:1] if is_grey else whole).contiguous(),
        notes=(*notes, "16-bit-colour") if ";16" in raw_mode and not is_deep else notes,
        exif=exif if isinstance(exif, bytes) else b"",
        profile=profile,
    )


def can_hold(path: Path, *, is_deep: bool = False) -> bool:
    """Return whether a file whose name ends so can be written with all that an image has."""
    return path.suffix.lower() in (_DEEP_SUFFIXES if is_deep else _FORMATS)


def write_edited(path: Path, pixels: Pixels, original: EditableImage) -> None:
    """Write an image so that the file is either whole or not there.

    Args:
        path: Its ending says the format, which `can_hold` the image.
        pixels: Changed; as deep as those of the original.
        original: Whose EXIF data and colour profile are kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = _FORMATS[path.suffix.lower()]
    options: dict[str, object] = {}
    if kind == "JPEG":
        options = {"quality": JPEG_QUALITY, "subsampling": 0}
    elif kind == "WEBP":
        options = {"lossless": True}
    if kind in ("JPEG", "PNG", "WEBP", "TIFF") and original.exif:
        options["exif"] = original.exif
    if kind not in ("PPM", "BMP") and original.profile:
        options["icc_profile"] = original.profile
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        _picture(pixels).save(partial, kind, **options)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _deep_levels(values: NDArray[np.generic], image: Image.Image) -> NDArray[np.float32]:
    numbers = np.nan_to_num(values.astype(np.float64))
    return np.clip(numbers * (255.0 / full_scale(numbers, image)), 0, 255).astype(np.float32)


def _picture(pixels: Pixels) -> Image.Image:
    array = pixels.permute(1, 2, 0).contiguous().cpu().numpy()  # [c, h, w] -> [h, w, c]
    if array.dtype != np.uint8:
        return Image.fromarray(np.rint(array[..., 0] * (_DEEP_WHITE / 255.0)).astype(np.uint16))
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
