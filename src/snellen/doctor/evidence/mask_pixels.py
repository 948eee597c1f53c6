"""What the label images of a data set hold, pixel by pixel, one row for each."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex, MaskTable, read_mask
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.array_store import recalled, stamp
from snellen.doctor.evidence.images import ScanSettings
from snellen.doctor.words import Text
from snellen.errors import DatasetError

__all__ = ["MaskPixels", "pixels_of_masks", "ramp_share"]

BYTE_VALUES = 256  # raw values that are counted one by one; the rare larger ones are counted together
ROWS_OF_RAMPS = 512  # of a label image that are searched for ramps, evenly
_FACTS = 4  # columns behind the histogram: readable, height, width, ramps
_PROGRESS_EVERY = 50  # label images

Shares = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskPixels:
    """Columns with one row for each label image of an index; ``n`` is their number, ``K`` that of the classes.

    Attributes:
        shares: Of the pixels of each class, and in the last column of those that count for nothing; ``[n, K + 1]``.
        ramps: Of the edges between values that differ by 2 or more, the share that leads over a value in between, as
            smoothing makes them; ``[n]``.
        sizes: Height and width; ``[n, 2]``.
        is_readable: ``[n]``.
        values: Raw values below 256 that occur, rising; empty for coloured label images; ``[v]``.
        value_images: In how many label images each occurs; ``[v]``.
        coloured: Whether raw values are colours.
        thresholded: Whether grey levels are cut in two, or each means the nearest class.
    """

    ABSENT = Text(en="the data set has no label images", zh="该数据集没有标签图像")

    shares: Shares
    ramps: Shares
    sizes: NDArray[np.int32]
    is_readable: NDArray[np.bool_]
    values: NDArray[np.int64]
    value_images: NDArray[np.int64]
    coloured: bool
    thresholded: bool

    def __len__(self) -> int:
        """Return the number of label images."""
        return len(self.ramps)


def pixels_of_masks(index: DatasetIndex, settings: ScanSettings | None) -> MaskPixels:
    """Read every label image once, or recall what was measured before.

    Raises:
        NotCheckable: If there are none.
    """
    table = index.annotations
    if not isinstance(table, MaskTable) or not len(table):
        raise NotCheckable(MaskPixels.ABSENT)
    chosen = settings or ScanSettings()
    paths = [index.root / table.paths[row] for row in range(len(table))]
    columns = len(index.classes) + 1 if table.coloured else BYTE_VALUES + 1
    contents = [f"{table.coloured} {columns} {table.values.tolist()} {table.labels.tolist()} {table.nearest}".encode()]
    contents += [stamp(path) for path in paths]
    found = recalled("masks", contents, chosen.cache, lambda: _measured(paths, table, columns, chosen))
    histogram, facts = found[:, :columns], found[:, columns:]
    occurs = np.zeros(0, np.int64) if table.coloured else (histogram[:, :BYTE_VALUES] > 0).sum(0)
    values = np.flatnonzero(occurs)
    return MaskPixels(
        shares=histogram if table.coloured else _by_label(histogram, table, len(index.classes)),
        ramps=facts[:, 3],
        sizes=facts[:, 1:3].astype(np.int32),
        is_readable=facts[:, 0] > 0,
        values=values,
        value_images=occurs[values],
        coloured=table.coloured,
        thresholded=table.threshold is not None or table.nearest,
    )


def ramp_share(raw: NDArray[np.int32]) -> float:
    """Return the share of edges that lead over a value in between, along rows; 0 without edges.

    Of three neighbours the outer two must differ by 2 or more: then the middle one is either of them (an edge), between
    them (a ramp) or anything else (not counted).
    """
    part = raw[:: max(1, len(raw) // ROWS_OF_RAMPS)]
    left, middle, right = part[:, :-2], part[:, 1:-1], part[:, 2:]
    apart = np.abs(left - right) >= 2
    left, middle, right = left[apart], middle[apart], right[apart]
    ramps = int(((middle > np.minimum(left, right)) & (middle < np.maximum(left, right))).sum())
    edges = int(((middle == left) | (middle == right)).sum())
    return ramps / (ramps + edges) if ramps + edges else 0.0


def _by_label(histogram: Shares, table: MaskTable, num_classes: int) -> Shares:
    labels = np.minimum(table.labelled(np.arange(BYTE_VALUES + 1, dtype=np.int32)), num_classes)
    matrix = np.zeros((BYTE_VALUES + 1, num_classes + 1), np.float32)
    matrix[np.arange(BYTE_VALUES + 1), labels] = 1
    return np.asarray(histogram @ matrix, np.float32)


def _measured(paths: list[Path], table: MaskTable, columns: int, settings: ScanSettings) -> Shares:
    rows = np.zeros((len(paths), columns + _FACTS), np.float32)
    workers = joblib.cpu_count() if settings.workers is None else max(1, settings.workers)
    pool = ThreadPoolExecutor(workers)  # decoding and counting leave Python's lock
    try:
        for done, row in enumerate(pool.map(lambda path: _row(path, table, columns), paths), 1):
            rows[done - 1] = row
            if settings.on_progress is not None and (done % _PROGRESS_EVERY == 0 or done == len(paths)):
                settings.on_progress(done, len(paths))
    finally:  # also where the progress says that the time is over
        pool.shutdown(cancel_futures=True)
    return rows


def _row(path: Path, table: MaskTable, columns: int) -> Shares:
    row = np.zeros(columns + _FACTS, np.float32)
    try:
        raw = read_mask(path, coloured=table.coloured)
    except DatasetError:
        return row
    if table.coloured:
        numbers = np.minimum(table.labelled(raw), columns - 1).astype(np.int64)
    else:
        numbers = np.clip(raw, 0, BYTE_VALUES).astype(np.int64)
    row[:columns] = np.bincount(numbers.ravel(), minlength=columns) / max(1, raw.size)
    row[columns:] = 1, *raw.shape, 0 if table.coloured else ramp_share(raw)
    return row
