"""What one image file shows, measured from its bytes in one decoding.

Only NumPy and Pillow are imported: `snellen.doctor.evidence.scanning` starts this file as a program of its own in
several processes, which would otherwise spend longer on importing than on measuring. So `snellen.data.images` cannot
be asked; that both read and turn images alike is tested.

An image is decoded at a reduced scale where its format can (JPEG: 1/2, 1/4, 1/8 in the transform itself). All its
entropy-coded data is read then, too, so a truncated file is found. Statistics are taken of the working image, whose
longer side is 160 to 319 pixels (or that of the file, if smaller).
"""

import hashlib
import pickle
import sys
import time
import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

__all__ = ["KNOWN", "PERCENTILES", "RECORD", "THUMBNAIL_PX", "measured", "measured_files"]

KNOWN = "known"  # instead of an error: the content has been measured before
WORKING_SIDE_PX = 160  # longer side of the working image, at least; below twice as much
THUMBNAIL_PX = 32
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)  # of brightness
TILE_PX = 8  # of the working image; an edge and its surroundings fit in
EDGE_LEVELS = 24  # of 255: how far a tile must reach from dark to light, noise taken off, to hold an edge
NOISE_LEVELS = 16  # of 255: more is not taken off, since fine texture everywhere looks like noise
DETAIL_SHARE = 0.01  # of the tiles must hold an edge before sharpness can be told
SHARPEST_SHARE = 0.9  # quantile over the strongest edges: an image with one sharp plane is sharp
COLOUR_LEVELS = 8  # of 255: how far channels are apart in a colour image; JPEG noise in grey ones stays below
BLACK, BURNT = 1, 254  # levels of 255
LOST_LEVEL = 128  # with which libjpeg fills what is missing
GRID = 4  # cells a side in which local brightness is averaged
TINY = 1e-12  # keeps logarithms finite
PIXEL_LIMIT = 178_956_970  # as `snellen.data.images`
EXIF_ORIENTATION = 0x0112
MAX_SAMPLE_VALUE = 281  # TIFF tag
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
END_OF_JPEG = b"\xff\xd9"
START_OF_SCAN = 0xDA

RECORD = np.dtype(
    [
        ("is_readable", "?"),
        ("height", "i4"),  # EXIF orientation applied
        ("width", "i4"),
        ("raw_height", "i4"),
        ("raw_width", "i4"),
        ("orientation", "u1"),
        ("format", "S8"),
        ("mode", "S8"),
        ("bit_depth", "u1"),
        ("has_alpha", "?"),
        ("is_animated", "?"),
        ("is_coloured", "?"),
        ("is_ended", "?"),
        ("lost_share", "f4"),
        ("file_bytes", "i8"),
        ("file_hash", "u8", (2,)),
        ("pixel_hash", "u8"),
        ("perceptual_hash", "u8"),
        ("brightness", "u1", (len(PERCENTILES),)),
        ("black", "f4"),
        ("burnt", "f4"),
        ("contrast", "f4"),
        ("entropy", "f4"),
        ("detail", "f4"),
        ("sharpness", "f4"),
        ("noise", "f4"),
        ("illumination", "f4"),
        ("means", "f4", (3,)),
        ("stds", "f4", (3,)),
        ("white_tint", "f4", (2,)),
        ("edge_tint", "f4", (2,)),
        ("read_seconds", "f4"),
        ("decode_seconds", "f4"),
        ("thumbnail", "u1", (THUMBNAIL_PX, THUMBNAIL_PX)),
    ]
)

_LEVELS = np.arange(256, dtype=np.float32)
_FREQUENCIES = np.cos(np.pi / THUMBNAIL_PX * np.arange(8)[:, None] * (np.arange(THUMBNAIL_PX) + 0.5)).astype(np.float32)


def measured_files(files: Sequence[tuple[str, Sequence[bytes]]]) -> tuple[NDArray[Any], list[str]]:
    """Return one record for each file, and why it cannot be read (or an empty text).

    Args:
        files: Path of each, and the hashes of contents that it may have and that need no measuring; where it has one
            of them, the record holds no more than the hash, and the text is `KNOWN`.
    """
    contents: list[bytes | OSError] = []
    seconds = []
    for path, _ in files:
        began = time.perf_counter()
        contents.append(_content(path))
        seconds.append(time.perf_counter() - began)
    records, errors = measured(contents, [known for _, known in files])
    records["read_seconds"] = seconds
    return records, errors


def measured(
    contents: Sequence[bytes | OSError], known: Sequence[Sequence[bytes]] | None = None
) -> tuple[NDArray[Any], list[str]]:
    """Return one record for the content of each file, and why it cannot be read (or an empty text)."""
    records = np.zeros(len(contents), RECORD)
    counts = np.zeros((len(contents), 256), np.float32)
    counts[:, 0] = 1  # of unreadable files, so that shares are finite; nobody looks at them
    colours = np.zeros((len(contents), THUMBNAIL_PX, THUMBNAIL_PX, 3), np.float32)
    errors = []
    for row, content in enumerate(contents):
        if isinstance(content, OSError):
            errors.append(content.strerror or str(content))
            continue
        record = records[row]
        began = time.thread_time()
        digest = hashlib.sha256(content).digest()[:16]
        record["file_bytes"] = len(content)
        record["file_hash"] = np.frombuffer(digest, "<u8")
        if known is not None and digest in known[row]:
            errors.append(KNOWN)
            continue
        working, error = _decoded(record, content)
        errors.append(error)
        if working is None:
            continue
        record["decode_seconds"] = time.thread_time() - began
        record["is_readable"] = True
        grey = working if working.mode == "L" else working.convert("L")
        levels = np.asarray(grey)
        small = np.asarray(working.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX))
        record["detail"], record["sharpness"], record["noise"] = _edges(levels)
        record["pixel_hash"] = _pixel_hash(record, levels, small)
        record["lost_share"] = _lost_share(levels)
        counts[row] = grey.histogram()
        colours[row] = small if small.ndim == 3 else small[..., None]
    _measure_brightness(records, counts)
    _measure_colour(records, colours)
    return records, errors


def _content(path: str) -> bytes | OSError:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - making a Path takes longer than opening the file
            return file.read()
    except OSError as error:
        return error


def _decoded(record: Any, content: bytes) -> tuple[Image.Image | None, str]:
    if not content:
        return None, "the file is empty"
    try:
        with Image.open(BytesIO(content)) as image:
            _state(record, image, content)
            return _working(image), ""
    except UnidentifiedImageError:
        if content[4:8] == b"ftyp":
            return None, "HEIC, HEIF, AVIF or video, for which there is no decoder"
        return None, f"no image: the file begins with {content[:8]!r}"
    except Exception as error:  # noqa: BLE001 - decoders raise anything on damaged files; the reason is kept
        return None, str(error) or type(error).__name__


def _state(record: Any, image: Image.Image, content: bytes) -> None:
    """Write down what the header says."""
    width, height = image.size
    if width * height > PIXEL_LIMIT:
        message = f"{width} x {height} pixels are more than the limit of {PIXEL_LIMIT}"
        raise Image.DecompressionBombError(message)
    orientation = 1
    if image.format != "TIFF" and "exif" in image.info:  # Pillow turns TIFF by itself
        stated = image.getexif().get(EXIF_ORIENTATION, 1)
        orientation = stated if isinstance(stated, int) and 1 <= stated <= 8 else 1
    record["orientation"] = orientation
    record["raw_height"], record["raw_width"] = height, width
    record["height"], record["width"] = (width, height) if orientation >= 5 else (height, width)
    record["format"], record["mode"] = (image.format or "").encode(), image.mode.encode()
    tiles = getattr(image, "tile", None)
    raw_mode = str(tiles[0][3]) if tiles else ""
    depth = {"1": 1, "I": 32, "F": 32}.get(image.mode, 8)
    record["bit_depth"] = 16 if ";16" in image.mode or ";16" in raw_mode else depth
    record["has_alpha"] = image.mode in ALPHA_MODES or "transparency" in image.info
    record["is_animated"] = getattr(image, "is_animated", False) and image.format != "MPO"
    record["is_ended"] = image.format not in {"JPEG", "MPO"} or content.rfind(END_OF_JPEG, _scan(content)) >= 0


def _scan(content: bytes) -> int:
    """Return where the first scan of a JPEG begins; previews with ends of their own lie in segments before it."""
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == START_OF_SCAN:
            return place
        place += 1 if marker == 0xFF else 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return min(place, len(content))


def _working(image: Image.Image) -> Image.Image:
    """Return the image as the loader gives it, grey (L) or RGB, at the working scale."""
    width, height = image.size
    times = max(width, height) // WORKING_SIDE_PX
    if image.format in {"JPEG", "MPO"} and times > 1:
        scale = 1 << (times.bit_length() - 1)
        image.draft("RGB", (max(1, width // scale), max(1, height // scale)))
    image.load()
    if image.mode in DEEP_MODES:
        image = _eight_bits(image)
    elif image.mode in ALPHA_MODES or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba).convert("RGB")
    elif image.mode not in {"L", "RGB"}:
        image = image.convert("L" if image.mode == "1" else "RGB")
    times = max(image.size) // WORKING_SIDE_PX
    if times > 1:
        image = image.reduce((min(times, image.width), min(times, image.height)))
    return image


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.nan_to_num(np.asarray(image).astype(np.float32))
    stated = getattr(image, "tag_v2", {}).get(MAX_SAMPLE_VALUE)
    largest = float(values.max(initial=0.0))
    if stated:
        full = float(stated[0] if isinstance(stated, tuple) else stated)
    elif image.mode == "F" and largest <= 255.0:
        full = 1.0 if largest <= 1.0 else 255.0
    else:
        full = max(65535.0, largest)
    return Image.fromarray(np.clip(np.rint(values * (255.0 / full)), 0, 255).astype(np.uint8))


def _measure_brightness(records: NDArray[Any], counts: NDArray[np.float32]) -> None:
    shares = counts / counts.sum(1, keepdims=True)
    below = shares.cumsum(1)
    for column, part in enumerate(PERCENTILES):
        records["brightness"][:, column] = (below < part / 100).sum(1).clip(0, 255)
    records["black"] = below[:, BLACK]
    records["burnt"] = np.maximum(0.0, 1.0 - below[:, BURNT - 1])
    mean = shares @ _LEVELS
    records["contrast"] = np.sqrt(np.maximum(0.0, shares @ _LEVELS**2 - mean**2))
    records["entropy"] = -(shares * np.log2(np.maximum(shares, TINY))).sum(1)


def _edges(levels: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Return the share of tiles with an edge, how sharp the sharpest of the strong ones are, and the noise.

    Sharpness is the largest step from one pixel to the next over the way from dark to light in a tile: about 1 for an
    edge within a pixel, 1 / (2.5 sigma) for one that is blurred, whatever its contrast. The steps in the calmest tiles
    are noise; they are taken off both. It is NaN where too few tiles hold an edge.
    """
    height, width = (side // TILE_PX * TILE_PX for side in levels.shape)
    if not height or not width:
        return 0.0, np.nan, 0.0
    part = levels[:height, :width]
    steps = np.zeros((height, width), np.uint8)
    across, down = part[:, 1:], part[1:]
    steps[:, :-1] = np.maximum(across, part[:, :-1]) - np.minimum(across, part[:, :-1])
    np.maximum(steps[:-1], np.maximum(down, part[:-1]) - np.minimum(down, part[:-1]), out=steps[:-1])
    largest = _tiles(np.maximum, steps).astype(np.float32)
    reach = _tiles(np.maximum, part).astype(np.float32) - _tiles(np.minimum, part)
    calm = _quantile(largest, 0.1)
    noise = min(calm, NOISE_LEVELS)
    reach -= noise
    with_edge = reach >= EDGE_LEVELS
    detail = float(with_edge.mean())
    if detail < DETAIL_SHARE:
        return detail, np.nan, calm
    reach, largest = reach[with_edge], largest[with_edge]
    strong = reach >= _quantile(reach, 0.5)
    return detail, _quantile((largest[strong] - noise) / reach[strong], SHARPEST_SHARE), calm


def _quantile(values: NDArray[np.float32], part: float) -> float:
    """Return an element of the values, which takes a fifth of the time of NumPy's interpolated quantile."""
    rank = int(part * (len(values) - 1))
    return float(np.partition(values, rank)[rank])


def _lost_share(levels: NDArray[np.uint8]) -> float:
    """Return the share of rows, from the bottom up, that are the plain grey of data that is missing."""
    is_filled = np.abs(levels[-1].astype(np.int16) - LOST_LEVEL).max() <= 1
    if not is_filled:
        return 0.0
    others = np.flatnonzero((np.abs(levels.astype(np.int16) - LOST_LEVEL) > 1).any(1))
    return 1.0 - (int(others[-1]) + 1) / len(levels) if len(others) else 0.0


def _tiles(choose: Any, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reduce tiles of 8 x 8 in six halvings, which is faster than a reduction over two axes of four."""
    for _ in range(3):
        values = choose(values[0::2], values[1::2])
    for _ in range(3):
        values = choose(values[:, 0::2], values[:, 1::2])
    return values.ravel()


def _pixel_hash(record: Any, levels: NDArray[np.uint8], small: NDArray[np.uint8]) -> np.uint64:
    digest = hashlib.blake2b(digest_size=8)
    digest.update(np.array([record["height"], record["width"]], "<i4").tobytes())
    digest.update(levels.tobytes())
    digest.update(small.tobytes())
    return np.uint64(int.from_bytes(digest.digest(), "little"))


def _measure_colour(records: NDArray[Any], colours: NDArray[np.float32]) -> None:
    """Write down what thumbnails ``[n, height, width, 3]`` show."""
    number = len(colours)
    luma = colours @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow converts
    records["thumbnail"] = np.rint(luma)
    records["perceptual_hash"] = _perceptual_hashes(luma)
    side = THUMBNAIL_PX // GRID
    records["illumination"] = luma.reshape(number, GRID, side, GRID, side).mean((2, 4)).reshape(number, -1).std(1)
    largest, smallest = colours.max(3), colours.min(3)
    records["is_coloured"] = (largest - smallest).max((1, 2)) > COLOUR_LEVELS
    pixels = colours.reshape(number, -1, 3)
    records["means"] = pixels.mean(1)
    records["stds"] = pixels.std(1)
    steps = np.abs(np.diff(colours, axis=1)).sum((1, 2)) + np.abs(np.diff(colours, axis=2)).sum((1, 2))
    records["edge_tint"] = _tints(steps)
    usable = np.where((largest < BURNT) & (luma > BLACK), luma, -1.0).reshape(number, -1)
    rank = int(0.95 * usable.shape[1])
    bright = (usable >= np.partition(usable, rank, 1)[:, rank, None]) & (usable >= 0)
    white = (pixels * bright[..., None]).sum(1) / np.maximum(bright.sum(1), 1)[:, None]
    records["white_tint"] = _tints(white)


def _perceptual_hashes(luma: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return the signs of the 63 lowest frequencies: bit 8 v + u is that of frequency u across and v down."""
    signs = (_FREQUENCIES @ luma @ _FREQUENCIES.T).reshape(-1, 64) > 0
    signs[:, 0] = False
    return np.packbits(signs, axis=1, bitorder="little").view("<u8")[:, 0]


def _tints(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return red and blue over green, as natural logarithms; 0 is neutral."""
    logs = np.log(np.maximum(colours, 1.0))
    return np.stack([logs[:, 0] - logs[:, 1], logs[:, 2] - logs[:, 1]], axis=1)


def _serve() -> None:
    """Answer lists of files on the standard input with their records on the standard output, until it ends."""
    warnings.simplefilter("ignore")  # odd tags and large images are judged, not printed
    while True:
        try:
            files = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(measured_files(files), sys.stdout.buffer, protocol=pickle.HIGHEST_PROTOCOL)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
