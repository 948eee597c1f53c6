"""Whether neighbouring pixels belong together, as they do in pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex, read_image
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.words import Text
from snellen.errors import DatasetError

__all__ = ["Locality", "locality_of_pixels"]

SAMPLE = 100  # images
FEWEST = 5  # images that are not blank
LEAST_SIDE_PX = 8  # of an image that has neighbours to speak of
LEAST_CONTRAST = 2.0  # levels of 255; below it there is nothing to correlate


@dataclass(frozen=True, kw_only=True, eq=False)
class Locality:
    """Correlation of neighbours in a sample of images.

    Attributes:
        rows: Of the index, ``[n]``.
        correlation: Of pixels with the ones right of and below them, -1..1; ``[n]``.
        permuted: The same after the pixels of the image are permuted, ``[n]``.
    """

    ABSENT = Text(en="no image could be read", zh="没有可读的图像")

    rows: NDArray[np.int64]
    correlation: NDArray[np.float32]
    permuted: NDArray[np.float32]


def locality_of_pixels(index: DatasetIndex, facts: ImageFacts) -> Locality:
    """Correlate the pixels of a sample of images with their neighbours.

    Raises:
        NotCheckable: If too few images show anything.
    """
    shows = facts.is_readable & (facts.contrast >= LEAST_CONTRAST)
    shows &= np.minimum(facts.height, facts.width) >= LEAST_SIDE_PX
    chance = np.random.default_rng(0)
    rows, found, permuted = [], [], []
    for row in chance.permutation(np.flatnonzero(shows))[:SAMPLE].tolist():
        try:
            grey = read_image(index.path(row)).float().mean(0).numpy()
        except DatasetError:  # changed since it was scanned
            continue
        rows.append(row)
        found.append(_correlation(grey))
        permuted.append(_correlation(chance.permutation(grey.reshape(-1)).reshape(grey.shape)))
    if len(rows) < FEWEST:
        raise NotCheckable(Text(
            en=f"{FEWEST} images with some contrast are needed; there are {len(rows)}",
            zh=f"至少需要 {FEWEST} 张有一定对比度的图像；现有 {len(rows)} 张",
        ))  # fmt: skip
    return Locality(
        rows=np.array(rows, np.int64),
        correlation=np.array(found, np.float32),
        permuted=np.array(permuted, np.float32),
    )


def _correlation(grey: NDArray[np.float32]) -> float:
    centered = grey.astype(np.float64) - grey.mean()
    variance = float((centered**2).mean())
    if variance == 0:
        return 0.0
    across = float((centered[:, 1:] * centered[:, :-1]).mean())
    down = float((centered[1:] * centered[:-1]).mean())
    return (across + down) / 2 / variance
