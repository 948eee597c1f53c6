"""How long images take to load in full, measured on a sample."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex, read_image
from snellen.doctor.evidence.images import ImageFacts
from snellen.errors import DatasetError

__all__ = ["LoadingTimes", "times_of_loading"]

SAMPLE = 16  # images
MOST_SECONDS = 3.0  # that sampling may take


@dataclass(frozen=True, eq=False, kw_only=True)
class LoadingTimes:
    """Times of single images on one core.

    Attributes:
        rows: Of the images that were loaded; ``[m]``.
        decode_seconds: Processor time for reading and decoding at full size; ``[m]``.
    """

    rows: NDArray[np.int64]
    decode_seconds: NDArray[np.float64]


def times_of_loading(index: DatasetIndex, facts: ImageFacts) -> LoadingTimes:
    """Load some images that are spread over the data set, as training would."""
    readable = np.flatnonzero(facts.is_readable)
    chosen = readable[np.unique(np.linspace(0, len(readable) - 1, min(SAMPLE, len(readable))).astype(np.int64))]
    rows: list[int] = []
    seconds: list[float] = []
    for row in chosen.tolist():
        if sum(seconds) > MOST_SECONDS:
            break
        began = time.thread_time()
        try:
            read_image(index.path(row))
        except DatasetError:  # changed since it was scanned
            continue
        rows.append(row)
        seconds.append(time.thread_time() - began)
    return LoadingTimes(rows=np.array(rows, np.int64), decode_seconds=np.array(seconds))
