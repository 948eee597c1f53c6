"""What values label images hold, and what compression has done to them."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snellen.data.checking import HEADER_THREADS
from snellen.data.images import read_mask
from snellen.data.palettes import nearest_values, value_gap
from snellen.data.problems import ProblemLog
from snellen.errors import DatasetError

__all__ = ["Scan", "are_coloured", "check_palette", "check_two_levels", "scanned"]

SCANNED_MASKS = 5000  # label images whose values are looked at, evenly over the set; a minute's work on one core
COUNTED_VALUES = 1 << 16  # grey levels and palette indices; colours are more
LOSSY_FORMATS = ("JPEG", "WEBP")
# Levels between two classes that compression leaves apart: of CamVid's masks at 21 levels each 3 % of the pixels take
# another class after JPEG of quality 75, 0.1 % at 90; at 8 levels 6 % and 3 %.
LEAST_GAP = 20.0
MIDDLE = (64, 191)  # grey levels that are neither black nor white, in a mask of two classes
MIDDLE_SHARE = 0.1  # of all pixels; black and white masks (horses) have 0.003 at quality 30, 0 at 75
GREY_TOLERANCE = 24  # of red, green and blue in a grey JPEG that was saved in colour


@dataclass(frozen=True)
class Scan:
    """What one label image holds.

    Attributes:
        values: Raw values; of a lossy one with a palette those of the palette that are nearest.
        lossy: Whether compression has changed values.
        moved: Share of the pixels whose value was none of the palette.
        middle: Share of the pixels between black and white.
    """

    values: frozenset[int]
    lossy: bool = False
    moved: float = 0.0
    middle: float = 0.0


def are_coloured(masks: Iterable[Path]) -> bool:
    """Return whether the first label image that opens has red, green and blue that differ."""
    for mask in masks:
        try:
            with Image.open(mask) as image:
                if image.mode not in ("RGB", "RGBA"):
                    return False
                tolerance = GREY_TOLERANCE if image.format in LOSSY_FORMATS else 0
                pixels = np.asarray(image.convert("RGB")).astype(np.int16)
        except OSError:
            continue
        if (np.abs(pixels - pixels[..., :1]) > tolerance).any():
            return True
    return False


def scanned(
    masks: list[Path], log: ProblemLog, *, coloured: bool, palette: NDArray[np.int32] | None
) -> tuple[list[Scan | None], NDArray[np.bool_]]:
    """Return what values label images hold, None for those outside of the sample; name those that cannot be decoded.

    Args:
        masks: Label images.
        log: Where to name what is left out.
        coloured: Whether values are colours.
        palette: Values that are stated; None where nobody did.
    """
    rows = np.unique(np.linspace(0, len(masks) - 1, min(len(masks), SCANNED_MASKS)).astype(int))
    readable = np.ones(len(masks), np.bool_)

    def attempt(row: int) -> Scan | DatasetError:
        try:
            raw = read_mask(masks[row], coloured=coloured)
        except DatasetError as error:
            return error
        with Image.open(masks[row]) as image:
            is_lossy = image.format in LOSSY_FORMATS
        return _lossy(raw, palette, coloured=coloured) if is_lossy else Scan(_values(raw))

    with ThreadPoolExecutor(HEADER_THREADS) as pool:
        found = list(pool.map(attempt, rows.tolist()))
    scans: list[Scan | None] = [None] * len(masks)
    for row, scan in zip(rows.tolist(), found, strict=True):
        if isinstance(scan, Scan):
            scans[row] = scan
        else:
            readable[row] = False
            log.add("mask-unreadable", f"left out: {scan}", file=masks[row], severity="error")
    if len(rows) < len(masks):
        message = (
            f"the values of {len(rows)} of {len(masks)} label images were looked at; classes are counted in these."
        )
        log.add("masks-sampled", message, severity="note")
    return scans, readable


def check_palette(palette: NDArray[np.int32] | None, names: Sequence[str], file: Path, *, coloured: bool) -> None:
    """Raise DatasetError if classes cannot be told apart in a lossy label image.

    Args:
        palette: Stated values; None where nobody did.
        names: Of the classes.
        file: A lossy label image.
        coloured: Whether values are colours.
    """
    if palette is None:
        raise DatasetError(
            "label images in colours were expected as PNG; this one is JPEG or WebP, whose compression makes thousands "
            "of colours out of a few. Export the masks as PNG, or name the colours in classes.txt, a line for each "
            "class (road 128 64 128): then each pixel takes the nearest.",
            file=file,
        )
    gap = value_gap(palette, coloured=coloured)
    if gap < LEAST_GAP:
        raise DatasetError(
            f"a mask of {len(names)} classes was expected as PNG; this one is JPEG or WebP, whose compression changes "
            f"values by a dozen and more, and two classes are only {gap:.3g} levels apart. Which is which cannot be "
            f"told: export the masks as PNG, or with values at least {LEAST_GAP:g} apart.",
            file=file,
        )


def check_two_levels(scans: Sequence[Scan], file: Path) -> None:
    """Raise DatasetError if lossy grey label images are not black and white.

    Args:
        scans: Of the label images that were looked at.
        file: A lossy one.
    """
    middle = float(np.mean([scan.middle for scan in scans if scan.lossy]))
    if middle > MIDDLE_SHARE:
        raise DatasetError(
            f"a JPEG or WebP mask of two classes, black and white, was expected; {middle:.0%} of the pixels are "
            f"neither ({MIDDLE[0]}–{MIDDLE[1]}), so there are more classes, whose values compression has blurred. "
            'Export the masks as PNG, or state the values in classes.json ({"0": "sky", "85": "road", …}): then each '
            "pixel takes the nearest.",
            file=file,
        )


def _lossy(raw: NDArray[np.int32], palette: NDArray[np.int32] | None, *, coloured: bool) -> Scan:
    if palette is None:
        # Colours that nobody named are an error whatever they are; of grey ones the whole range counts.
        values = frozenset() if coloured else _values(raw)
        return Scan(values, lossy=True, middle=float(((raw >= MIDDLE[0]) & (raw <= MIDDLE[1])).mean()))
    nearest = palette[nearest_values(raw, palette, coloured=coloured)]
    return Scan(_values(nearest), lossy=True, moved=float((nearest != raw).mean()))


def _values(raw: NDArray[np.int32]) -> frozenset[int]:
    """Return the values that occur; counting is twenty times as fast as sorting where values are small."""
    if raw.size and raw.min() >= 0 and raw.max() < COUNTED_VALUES:
        return frozenset(np.flatnonzero(np.bincount(raw.ravel())).tolist())
    return frozenset(np.unique(raw).tolist())
