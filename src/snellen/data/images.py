"""Any image file to uint8 RGB, and the size of one from its header alone.

What is done with the unusual: EXIF orientation is applied; 16-bit grey is scaled by the depth that the file
states (not clipped); transparent pixels are put on white, since that is how such pictures are mostly shown;
CMYK becomes RGB (Adobe's inverted CMYK too); of an animation the first frame is taken. Each of these is
named in `decoded_image`'s notes.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from snellen.errors import DatasetError

__all__ = [
    "DEEP_MODES",
    "IMAGE_SUFFIXES",
    "PILLOW_ERRORS",
    "PIXEL_LIMIT",
    "ImageHeader",
    "decoded_image",
    "full_scale",
    "image_content",
    "image_header",
    "image_size",
    "is_image_name",
    "read_image",
    "read_mask",
    "rgb_pixels",
    "unreadable_image",
]

PIXEL_LIMIT = 178_956_970  # pixels; where Pillow, too, calls a file a decompression bomb
IMAGE_SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".webp",
        ".ppm",
        ".pgm",
        ".pbm",
        ".avif",
        ".heic",
        ".heif",
        ".jp2",
        ".dng",
    ]
)
EXIF_ORIENTATION = 0x0112
TIFF_MAX_SAMPLE_VALUE = 281
TRANSPOSING_ORIENTATIONS = (5, 6, 7, 8)
_ALPHA_MODES = frozenset(("LA", "La", "PA", "RGBA", "RGBa"))
DEEP_MODES = frozenset(("I;16", "I;16B", "I;16L", "I;16N", "I", "F"))
PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """What can be known of an image without decoding it.

    Attributes:
        size: Height and width, EXIF orientation applied.
        raw_size: The same before it is applied.
        orientation: EXIF's, 1 to 8; 1 is upright.
        notes: As `decoded_image` names them.
    """

    size: tuple[int, int]
    raw_size: tuple[int, int]
    orientation: int
    notes: tuple[str, ...]


def is_image_name(name: str) -> bool:
    """Return whether a file name ends as image files do."""
    dot = name.rfind(".")
    return dot > 0 and name[dot:].lower() in IMAGE_SUFFIXES and not name.startswith("._")


def read_image(path: Path) -> UInt8[Tensor, "3 height width"]:
    """Return the image as RGB, 0..255, turned as EXIF says.

    Raises:
        DatasetError: If the file is missing, empty, truncated, too large, or no image.
    """
    return decoded_image(path)[0]


def decoded_image(path: Path) -> tuple[UInt8[Tensor, "3 height width"], tuple[str, ...]]:
    """Return the image as RGB, and the names of conversions that may surprise.

    Returns:
        The pixels, and any of ``exif-rotated``, ``16-bit``, ``float``, ``cmyk``, ``alpha``, ``animated``.

    Raises:
        DatasetError: If the file is missing, empty, truncated, too large, or no image.
    """
    content = image_content(path)
    try:
        with Image.open(BytesIO(content)) as image:
            pixels, notes = rgb_pixels(image)
    except PILLOW_ERRORS as error:
        raise unreadable_image(path, content, error) from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), notes  # [h, w, 3] -> [3, h, w]


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width, EXIF orientation applied, from the file's header without decoding it.

    Raises:
        DatasetError: If the file is missing, empty, too large, or no image.
    """
    return image_header(path).size


def image_header(path: Path) -> ImageHeader:
    """Return what the file's header says.

    Raises:
        DatasetError: If the file is missing, empty, too large, or no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Pillow turns TIFF by itself, and states the size of the turned image.
            orientation = 1 if image.format == "TIFF" else _orientation(image)
            notes = _notes(image, turned=orientation != 1)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except PILLOW_ERRORS as error:
        raise unreadable_image(path, image_content(path), error) from error
    turned = orientation in TRANSPOSING_ORIENTATIONS
    return ImageHeader(
        size=(width, height) if turned else (height, width),
        raw_size=(height, width),
        orientation=orientation,
        notes=notes,
    )


def read_mask(path: Path, *, coloured: bool) -> NDArray[np.int32]:
    """Return the raw value of every pixel of a label image, shape ``[height, width]``.

    Args:
        path: Index PNG, palette PNG, grey or RGB image.
        coloured: Whether classes are colours; then values are ``red << 16 | green << 8 | blue``. Otherwise
            they are palette indices or grey levels (1-bit images: 0 and 1).

    Raises:
        DatasetError: If the file cannot be read.
    """
    content = image_content(path)
    try:
        with Image.open(BytesIO(content)) as image:
            upright = ImageOps.exif_transpose(image)
            if coloured:
                rgb = np.asarray(upright.convert("RGB")).astype(np.int32)
                return np.asarray(rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2], dtype=np.int32)
            values = np.asarray(upright)
    except PILLOW_ERRORS as error:
        raise unreadable_image(path, content, error) from error
    return (values if values.ndim == 2 else values[..., 0]).astype(np.int32)


def image_content(path: Path) -> bytes:
    """Return the bytes of an image file.

    Raises:
        DatasetError: If it is missing, empty or cannot be opened.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        message = f"the image file cannot be opened ({error.strerror}). Check its permissions and the disk."
        raise DatasetError(message, file=path) from error
    if not content:
        raise DatasetError("an image was expected, but the file has 0 bytes. Copy it again or delete it.", file=path)
    return content


def _orientation(image: Image.Image) -> int:
    """EXIF orientation from what the header gave; asking a PNG for its EXIF would decode it."""
    raw = image.info.get("exif")
    if not isinstance(raw, bytes):
        return 1
    exif = Image.Exif()
    exif.load(raw)
    value = exif.get(EXIF_ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def rgb_pixels(image: Image.Image) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Return an opened image as RGB, ``[height, width, 3]``, and the names of conversions; see `decoded_image`."""
    if image.size[0] * image.size[1] > PIXEL_LIMIT:
        message = f"{image.size[0]} x {image.size[1]} pixels are more than the limit of {PIXEL_LIMIT}"
        raise Image.DecompressionBombError(message)
    turned = image.getexif().get(EXIF_ORIENTATION, 1) != 1
    notes = _notes(image, turned=turned)
    upright: Image.Image = ImageOps.exif_transpose(image) if turned else image
    if upright.mode in DEEP_MODES:
        grey = _eight_bits(np.asarray(upright), image)
        return np.repeat(grey[..., None], 3, axis=2), notes
    if upright.mode in _ALPHA_MODES or "transparency" in upright.info:
        rgba = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba)
    return np.array(upright if upright.mode == "RGB" else upright.convert("RGB")), notes


def _notes(image: Image.Image, *, turned: bool) -> tuple[str, ...]:
    """Return the names of the conversions that an opened image needs."""
    notes = ["exif-rotated"] if turned else []
    if getattr(image, "is_animated", False) and image.format != "MPO":  # cameras add previews in that form
        notes.append("animated")
    if image.mode in DEEP_MODES:
        notes.append("float" if image.mode == "F" else "16-bit")
    elif image.mode in _ALPHA_MODES or "transparency" in image.info:
        notes.append("alpha")
    elif image.mode == "CMYK":
        notes.append("cmyk")
    return tuple(notes)


def _eight_bits(values: NDArray[np.generic], image: Image.Image) -> NDArray[np.uint8]:
    numbers = np.nan_to_num(values.astype(np.float64))
    return np.clip(np.rint(numbers * (255.0 / full_scale(numbers, image))), 0, 255).astype(np.uint8)


def full_scale(values: NDArray[np.float64], image: Image.Image) -> float:
    """Return the value of deep grey that is white: the largest that the file's depth allows.

    Args:
        values: Of all pixels, finite.
        image: Opened; TIFF may state its largest value.
    """
    stated = getattr(image, "tag_v2", {}).get(TIFF_MAX_SAMPLE_VALUE)
    largest = float(values.max(initial=0.0))
    if stated:
        return float(stated[0] if isinstance(stated, tuple) else stated)
    if image.mode == "F" and largest <= 1.0:
        return 1.0
    if image.mode == "F" and largest <= 255.0:
        return 255.0
    return max(65535.0, largest)


def _missing(path: Path) -> DatasetError:
    return DatasetError("the image file does not exist. Put it there, or take it out of the annotations.", file=path)


def unreadable_image(path: Path, content: bytes, error: BaseException) -> DatasetError:
    """Return what to say of a file that a decoder refused."""
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        advice = f"the image is too large ({error}). Cut it into tiles or scale it down."
    elif content[4:8] == b"ftyp":
        advice = "the file is HEIC, HEIF, AVIF or video, which this Pillow cannot decode. Convert it to JPEG or PNG."
    elif isinstance(error, UnidentifiedImageError):
        advice = f"an image was expected, but the file begins with {content[:8]!r}. Replace or delete it."
    else:
        advice = f"the image is truncated or damaged ({error}). Copy it again or delete it."
    return DatasetError(advice, file=path)
