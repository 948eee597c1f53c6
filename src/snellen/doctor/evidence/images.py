"""What the image files of a data set show, one row for each."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.evidence.image_store import ImageStore
from snellen.doctor.evidence.picture import PERCENTILES, RECORD
from snellen.doctor.evidence.scanning import Progress, scan_files

__all__ = ["ImageFacts", "ScanSettings", "facts_of_images"]

# Pillow's names of the formats that a suffix promises.
_FORMATS: Mapping[str, frozenset[bytes]] = MappingProxyType(
    {
        suffix: frozenset(formats)
        for suffixes, formats in (
            (("jpg", "jpeg", "jpe", "jfif"), (b"JPEG", b"MPO")),
            (("png",), (b"PNG",)),
            (("bmp",), (b"BMP", b"DIB")),
            (("gif",), (b"GIF",)),
            (("tif", "tiff"), (b"TIFF",)),
            (("webp",), (b"WEBP",)),
            (("ppm", "pgm", "pbm"), (b"PPM",)),
            (("avif",), (b"AVIF",)),
            (("jp2",), (b"JPEG2000",)),
        )
        for suffix in suffixes
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSettings:
    """How image files are read.

    Attributes:
        workers: Processes; as many as there are cores if None.
        cache: Folder of what was measured before; that of the user if None.
        on_progress: Called from time to time with the images done and all images.
    """

    workers: int | None = None
    cache: Path | None = None
    on_progress: Progress | None = None


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ImageFacts:
    """Columns with one row for each image of an index; ``n`` is their number.

    Pixels are measured as the loader gives them (deep grey scaled, transparent pixels on white), reduced to a longer
    side of 160 to 319; rows of unreadable files hold zeros. Brightness is that of ITU-R BT.601, 0 to 255.

    Attributes:
        errors: Why files cannot be read, by row.
        is_readable: Whether the whole file could be decoded; ``[n]``.
        height: Pixels, EXIF orientation applied; ``[n]``.
        width: The same.
        raw_height: Before it is applied; ``[n]``.
        raw_width: The same.
        orientation: EXIF's, 1 to 8; ``[n]``.
        format: Pillow's name of what the content is; ``[n]``.
        mode: Pillow's name of how pixels are stored; ``[n]``.
        bit_depth: Bits of a channel; ``[n]``.
        has_alpha: Whether pixels may be transparent; ``[n]``.
        is_animated: Whether there are more frames than the first; ``[n]``.
        is_coloured: Whether any place is not grey, however it is stored; ``[n]``.
        is_ended: Whether a JPEG has the marker that ends it; True for other formats; ``[n]``.
        lost_share: Share of rows, from the bottom up, that are the grey with which decoders fill in what is missing;
            ``[n]``.
        suffix_fits: Whether the name promises the format that the content has; ``[n]``.
        file_bytes: Size of the file; ``[n]``.
        file_hash: First 128 bits of SHA-256 of the file; ``[n, 2]``.
        pixel_hash: Of the size and the reduced pixels: equal for files that decode to the same; ``[n]``.
        perceptual_hash: Signs of the 63 lowest frequencies; ``[n]``.
        brightness: Percentiles 1, 5, 25, 50, 75, 95, 99; ``[n, 7]``.
        black: Share of pixels that are 0 or 1; ``[n]``.
        burnt: Share of pixels that are 254 or 255; ``[n]``.
        contrast: Standard deviation of brightness; ``[n]``.
        entropy: Bits of the histogram of brightness; ``[n]``.
        detail: Share of tiles of 8 x 8 in which there is an edge; ``[n]``.
        sharpness: Of the sharpest strong edges, 1 within a pixel, 1 / (2.5 sigma) if blurred; NaN without
            edges; ``[n]``.
        noise: Step between neighbours in the calmest tiles; ``[n]``.
        illumination: Standard deviation of the mean brightness of 16 parts; ``[n]``.
        means: Of red, green and blue, 0 to 255; ``[n, 3]``.
        stds: Standard deviations of red, green and blue, of the thumbnail; ``[n, 3]``.
        white_tint: Logarithm of red over green and blue over green where it is brightest; 0 is neutral; ``[n, 2]``.
        edge_tint: The same of the steps between neighbours; ``[n, 2]``.
        read_seconds: For reading the file, when it was first measured; ``[n]``.
        decode_seconds: Processor time for decoding, at a reduced scale where the format can; ``[n]``.
        thumbnail: Brightness at 32 x 32 pixels; ``[n, 32, 32]``.
    """

    errors: Mapping[int, str] = field(default_factory=dict)
    is_readable: NDArray[np.bool_]
    height: NDArray[np.int32]
    width: NDArray[np.int32]
    raw_height: NDArray[np.int32]
    raw_width: NDArray[np.int32]
    orientation: NDArray[np.uint8]
    format: NDArray[np.bytes_]
    mode: NDArray[np.bytes_]
    bit_depth: NDArray[np.uint8]
    has_alpha: NDArray[np.bool_]
    is_animated: NDArray[np.bool_]
    is_coloured: NDArray[np.bool_]
    is_ended: NDArray[np.bool_]
    lost_share: NDArray[np.float32]
    suffix_fits: NDArray[np.bool_]
    file_bytes: NDArray[np.int64]
    file_hash: NDArray[np.uint64]
    pixel_hash: NDArray[np.uint64]
    perceptual_hash: NDArray[np.uint64]
    brightness: NDArray[np.uint8]
    black: NDArray[np.float32]
    burnt: NDArray[np.float32]
    contrast: NDArray[np.float32]
    entropy: NDArray[np.float32]
    detail: NDArray[np.float32]
    sharpness: NDArray[np.float32]
    noise: NDArray[np.float32]
    illumination: NDArray[np.float32]
    means: NDArray[np.float32]
    stds: NDArray[np.float32]
    white_tint: NDArray[np.float32]
    edge_tint: NDArray[np.float32]
    read_seconds: NDArray[np.float32]
    decode_seconds: NDArray[np.float32]
    thumbnail: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.is_readable)

    def percentile(self, part: int) -> NDArray[np.uint8]:
        """Return a percentile of brightness of each image; one of 1, 5, 25, 50, 75, 95, 99."""
        return self.brightness[:, PERCENTILES.index(part)]


def facts_of_images(index: DatasetIndex, settings: ScanSettings | None) -> ImageFacts:
    """Read every image file of an index once, or recall what was measured before."""
    chosen = settings or ScanSettings()
    root = os.path.abspath(index.root)  # noqa: PTH100 - joined to each name as a text
    names = [index.paths[row] for row in range(len(index))]
    paths = [os.path.join(root, name) for name in names]  # noqa: PTH118 - making 50,000 Paths takes longer than asking
    store = ImageStore(chosen.cache)
    try:
        records, errors = scan_files(paths, store=store, workers=chosen.workers, on_progress=chosen.on_progress)
    finally:
        store.close()
    return _columns(records, errors, names)


def _columns(records: NDArray[Any], errors: dict[int, str], names: list[str]) -> ImageFacts:
    columns = {name: np.ascontiguousarray(records[name]) for name in RECORD.names or () if name != "thumbnail"}
    columns["thumbnail"] = records["thumbnail"]  # most of the memory: a view, and no second copy
    formats = columns["format"].tolist()
    fits = [
        found in _FORMATS.get(name[name.rfind(".") + 1 :].lower(), {found})
        for name, found in zip(names, formats, strict=True)
    ]
    return ImageFacts(errors=errors, suffix_fits=np.array(fits, np.bool_) | ~columns["is_readable"], **columns)
