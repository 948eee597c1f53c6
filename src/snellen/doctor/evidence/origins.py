"""Where images came from, as far as files tell: groups that differ in several ways at once."""

import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data import ClassTable, DatasetIndex
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.evidence.shortcuts import source_folders
from snellen.doctor.words import Text

__all__ = ["Origins", "origins_of_images"]

LEAST_SHARE = 0.01  # of the images that a source has
MOST_SOURCES = 10
SAME_GROUPS = 0.8  # normalised mutual information from which two signs tell of one thing
SAME_AS_LABEL = 0.7  # of a sign with the labels, from which it tells of classes and not of sources


@dataclass(frozen=True, kw_only=True, eq=False)
class Origins:
    """Sources of images.

    Attributes:
        names: What marks each source, the largest first.
        sources: Position in ``names`` for each image, -1 where it is in none; ``[n]``.
        signs: What the sources differ in.
    """

    ABSENT = Text(en="files do not tell where images came from", zh="文件看不出图像的来源")

    names: tuple[str, ...]
    sources: NDArray[np.int64]
    signs: tuple[str, ...]


def origins_of_images(index: DatasetIndex, facts: ImageFacts) -> Origins:
    """Look for sources: a stated one, or groups in which two signs of folder, name, size and format agree.

    Raises:
        NotCheckable: If nothing tells of two sources.
    """
    stated = index.attributes.get("source")
    if stated is not None and 2 <= len(np.unique(stated)) <= MOST_SOURCES:
        return _origins(np.array([str(value) for value in stated], np.str_), facts, ("source",))
    signs = {name: values for name, values in _signs(index, facts).items() if _is_sign(values, index, facts)}
    pairs = [
        (first, second)
        for first, second in combinations(signs, 2)
        if _shared_information(signs[first], signs[second], facts) >= SAME_GROUPS
    ]
    if not pairs:
        raise NotCheckable(Origins.ABSENT)
    return _origins(signs[pairs[0][0]], facts, pairs[0])


def _signs(index: DatasetIndex, facts: ImageFacts) -> dict[str, NDArray[np.str_]]:
    names = [
        re.sub(r"[0-9a-f]{8,}|\d+", "#", PurePosixPath(index.paths[row].replace("\\", "/")).stem.lower())
        for row in range(len(index))
    ]
    sizes = [f"{width}x{height}" for height, width in zip(facts.height.tolist(), facts.width.tolist(), strict=True)]
    return {
        "folder": source_folders(index),
        "name": np.array(names, np.str_),
        "size": np.array(sizes, np.str_),
        "format": facts.format.astype(np.str_),
    }


def _is_sign(values: NDArray[np.str_], index: DatasetIndex, facts: ImageFacts) -> bool:
    """Return whether nearly all images fall into a few groups that are not simply the classes or the splits."""
    usable = values[facts.is_readable]
    kinds, counts = np.unique(usable, return_counts=True)
    large = counts >= max(2, LEAST_SHARE * len(usable))
    if not 2 <= large.sum() <= MOST_SOURCES or counts[large].sum() < 0.95 * len(usable) or len(kinds) > len(usable) / 4:
        return False
    if isinstance(index.annotations, ClassTable):
        labels = index.annotations.labels.astype(np.str_)
        if _shared_information(values, labels, facts) >= SAME_AS_LABEL:
            return False
    return _shared_information(values, index.splits.astype(np.str_), facts) < SAME_AS_LABEL


def _shared_information(first: NDArray[np.str_], second: NDArray[np.str_], facts: ImageFacts) -> float:
    from sklearn.metrics import normalized_mutual_info_score  # noqa: PLC0415 - takes a second to import

    return float(normalized_mutual_info_score(first[facts.is_readable], second[facts.is_readable]))


def _origins(values: NDArray[Any], facts: ImageFacts, signs: tuple[str, ...]) -> Origins:
    kinds, counts = np.unique(values[facts.is_readable], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    names = [str(kinds[place]) for place in order if counts[place] >= LEAST_SHARE * facts.is_readable.sum()]
    place_of = {name: place for place, name in enumerate(names)}
    sources = np.array([place_of.get(str(value), -1) for value in values], np.int64)
    sources[~facts.is_readable] = -1
    return Origins(names=tuple(name or "." for name in names), sources=sources, signs=signs)
