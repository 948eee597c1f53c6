"""The verbs of data sets: load, describe, convert, draw."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from snellen.data import (
    DatasetIndex,
    ImageDataset,
    ReadOptions,
    ensure_splits,
    verify,
    write,
    write_charts,
)
from snellen.data import load as read
from snellen.errors import ConfigError, DatasetError, did_you_mean
from snellen.recipes.target_words import TARGET_WORDS
from snellen.report import ImageCard, contact_sheet, draw
from snellen.structures import BoxTarget, ClassTarget, MaskTarget, Target

__all__ = ["CHARTS", "chart_folder", "convert", "data_place", "load", "prepared", "sample_sheet"]

CHARTS: Mapping[str, type[Target]] = {
    "charts": BoxTarget,
    "charts-classification": ClassTarget,
    "charts-segmentation": MaskTarget,
}
_LARGEST_MASK_VALUE = 65_535  # of a PNG with 16 bits
# Enough for a small network to learn letters in minutes on two cores, and to measure to a few points.
_CHART_COUNTS: Mapping[type[Target], tuple[int, int, int]] = {
    BoxTarget: (1200, 80, 150),
    ClassTarget: (3000, 300, 600),
    MaskTarget: (800, 60, 120),
}


def chart_folder(name: str = "charts") -> Path:
    """Return the folder of the built-in eye charts, drawn if they are not there yet.

    Args:
        name: ``charts`` (detection), ``charts-classification`` or ``charts-segmentation``.

    Raises:
        ConfigError: If there are no such charts.
    """
    if name not in CHARTS:
        raise ConfigError(f"there are no built-in data called {name!r}.{did_you_mean(name, CHARTS)}")
    cache = Path(os.environ.get("SNELLEN_CACHE") or Path.home() / ".cache" / "snellen")
    task = CHARTS[name]
    train, val, test = _CHART_COUNTS[task]
    folder = cache / f"{name}-{train}-{val}-{test}-v1"
    done = folder / ".complete"
    if not done.exists():
        write_charts(folder, task=task, num_train=train, num_val=val, num_test=test)
        done.touch()
    return folder


def data_place(path: Path | str) -> Path:
    """Return where a data set lies: the path, or the folder of built-in charts (drawn if need be)."""
    place = Path(path)
    return chart_folder(str(path)) if str(path) in CHARTS and not place.exists() else place


def load(
    path: Path | str = "charts",
    *,
    format: str | None = None,
    options: ReadOptions | None = None,
) -> DatasetIndex:
    """Read a data set; its format is recognised.

    Args:
        path: A file or folder, or the name of built-in charts (see ``chart_folder``).
        format: Name of the format where recognising it fails.
        options: What the files leave open.

    Raises:
        DatasetError: If nothing can be read.
        ConfigError: If there is no such format or task, or no mask can have the value to ignore.
    """
    facts = options or ReadOptions()
    if facts.ignore_index is not None and not 0 <= facts.ignore_index <= _LARGEST_MASK_VALUE:
        raise ConfigError(
            f"ignore_index must be a value that masks can have, 0..{_LARGEST_MASK_VALUE}; got {facts.ignore_index}."
        )
    return read(
        data_place(path),
        format=format,
        images=facts.images,
        classes=facts.classes,
        ignore_index=facts.ignore_index,
        task=facts.task,
        columns=facts.columns,
        separator=facts.separator,
    )


def prepared(index: DatasetIndex, seed: int) -> DatasetIndex:
    """Return the index with true image sizes, without unreadable files, with the splits that training needs.

    Raises:
        DatasetError: If no image can be read, there is no class, or nothing is annotated to learn from.
    """
    if not index.classes:
        raise DatasetError("expected at least one class; the data set has none. Check the labels.", file=index.root)
    ready = ensure_splits(verify(index), seed)
    if not sum(ready.describe().objects_per_class["train"].values()):
        learned = TARGET_WORDS[ready.target_type.__name__].learned
        raise DatasetError(
            f"expected training images with annotations; none of {len(ready.split_rows('train'))} has one of the "
            f"{learned} {', '.join(ready.classes)}. Check the labels, and the names of the {learned} if you gave them.",
            file=ready.root,
        )
    return ready


def convert(index: DatasetIndex, folder: Path | str, format: str) -> Path:
    """Write a data set in another format; images are copied.

    Raises:
        ConfigError: If there is no such format.
        InputError: If the format cannot hold such annotations, or the folder is not empty.
    """
    write(index, folder, format=format)
    return Path(folder)


def sample_sheet(index: DatasetIndex, count: int, seed: int) -> Image.Image:
    """Return a sheet of ``count`` images drawn at random, with their annotations.

    Raises:
        DatasetError: If none of the images drawn can be read.
    """
    dataset = ImageDataset(index, masks=True)
    cards: list[ImageCard] = []
    for row in np.random.default_rng(seed).permutation(len(index)).tolist():
        if len(cards) == count:
            break
        try:
            sample = dataset.untransformed(row)
        except DatasetError:
            continue  # a sheet shows what can be shown; describe names what cannot
        cards.append(
            ImageCard(caption=Path(sample.source).name, truth=draw(sample.image, sample.target, index.classes))
        )
    if not cards:
        raise DatasetError("expected readable images; none of those drawn can be read.", file=index.root)
    return contact_sheet(cards)
