"""Opening the header of every image: true sizes, files that cannot be read, forms that are converted."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from snellen.data.images import ImageHeader, image_header
from snellen.data.index import DatasetIndex
from snellen.data.outlines import OutlineTable
from snellen.data.problems import ProblemLog
from snellen.data.tables import BoxTable
from snellen.data.turning import turned_objects
from snellen.errors import DatasetError

__all__ = ["HEADER_THREADS", "read_headers", "verify"]

HEADER_THREADS = 8  # readers of headers wait for the disk, not for the processor
EXAMPLES = 3  # files that a note names

# Code and explanation of what decoding does with an unusual form, by the name that ``decoded_image`` gives it.
_NOTES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "16-bit": ("image-16-bit", "deep grey is scaled to 8 bits by the depth that the file states"),
        "float": ("image-float", "grey of floating point is scaled to 8 bits"),
        "cmyk": ("image-cmyk", "printing colours are converted to RGB"),
        "alpha": ("image-alpha", "transparent pixels are put on white"),
        "animated": ("image-animated", "only the first frame is used"),
        "exif-rotated": ("image-turned", "the image is turned as its EXIF orientation says"),
    }
)


def read_headers(paths: Sequence[Path]) -> list[ImageHeader | DatasetError]:
    """Return what the headers of image files say, or why one cannot be read."""

    def attempt(path: Path) -> ImageHeader | DatasetError:
        try:
            return image_header(path)
        except DatasetError as error:
            return error

    with ThreadPoolExecutor(HEADER_THREADS) as pool:
        return list(pool.map(attempt, paths, chunksize=64))


def verify(index: DatasetIndex) -> DatasetIndex:
    """Return the index with true sizes filled in, without the images whose header cannot be read.

    Images that are left out, those whose annotated size is not that of the file, and how many are of a form
    that decoding converts are added to ``problems``. Where the annotated size is that before EXIF turned the image, its
    objects are turned as well.

    Raises:
        DatasetError: If not one image can be read.
    """
    found = read_headers([index.path(row) for row in range(len(index))])
    counted = {code for code, _ in _NOTES.values()}  # anew, if the index was verified before
    log = ProblemLog(tuple(problem for problem in index.problems if problem.code not in counted))
    sizes = index.sizes.copy()
    keep = np.ones(len(index), np.bool_)
    turned: dict[int, ImageHeader] = {}
    for row, header in enumerate(found):
        if isinstance(header, DatasetError):
            keep[row] = False
            log.add("image-unreadable", f"left out: {header}", file=index.path(row), severity="error")
            continue
        if index.size(row) not in (None, header.size):
            if _is_unturned(index, row, header):
                turned[row] = header
            _report_size(log, index, row, header)
        sizes[row] = header.size
    if not keep.any():
        message = (
            f"images were expected, but none of {len(index)} files can be read; the first: {next(iter(found), '')}"
        )
        raise DatasetError(message, file=index.root)
    _report_notes(log, index, found)
    table = index.annotations
    told = {row: (header.orientation, header.raw_size) for row, header in turned.items()}
    if turned and isinstance(table, BoxTable):
        table = turned_objects(table, told)
    elif turned and isinstance(table, OutlineTable):
        table = replace(table, objects=turned_objects(table.objects, told))
    checked = replace(index, sizes=sizes, annotations=table)
    return replace(checked if keep.all() else checked.select(keep), problems=log.result())


def _is_unturned(index: DatasetIndex, row: int, header: ImageHeader) -> bool:
    return isinstance(index.annotations, BoxTable | OutlineTable) and index.size(row) == header.raw_size


def _report_size(log: ProblemLog, index: DatasetIndex, row: int, header: ImageHeader) -> None:
    stated, size = index.size(row) or (0, 0), header.size
    message = f"annotated as {stated[1]} x {stated[0]} pixels, but the file has {size[1]} x {size[0]}"
    if _is_unturned(index, row, header):
        log.add(
            "boxes-turned",
            f"{message} once it is turned as its EXIF orientation ({header.orientation}) says; its objects are "
            "turned with it.",
            file=index.path(row),
            fix="draw the image with its objects to check; save it upright, without an orientation",
        )
        return
    log.add(
        "size-mismatch",
        f"{message}.",
        file=index.path(row),
        fix="check the boxes of this image; annotate it at the size of the file",
    )


def _report_notes(log: ProblemLog, index: DatasetIndex, found: Sequence[ImageHeader | DatasetError]) -> None:
    rows: dict[str, list[int]] = {}
    for row, header in enumerate(found):
        for note in header.notes if isinstance(header, ImageHeader) else ():
            rows.setdefault(note, []).append(row)
    for note, (code, explanation) in _NOTES.items():
        if note in rows:
            names = ", ".join(index.paths[row] for row in rows[note][:EXAMPLES])
            more = ", …" if len(rows[note]) > EXAMPLES else ""
            log.add(
                code,
                f"{explanation}: {names}{more}.",
                file=index.path(rows[note][0]),
                count=len(rows[note]),
                severity="note",
            )
