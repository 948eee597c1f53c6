"""Whether what boxes and label images mark is marked in their own image: beside the annotations of other images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab

from snellen.data import BoxTable, ClassTable, DatasetIndex, MaskTable, read_image, read_mask
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.array_store import recalled, stamp
from snellen.doctor.evidence.images import ImageFacts, ScanSettings
from snellen.doctor.words import Text
from snellen.errors import DatasetError
from snellen.structures import IGNORE_LABEL

__all__ = ["AnnotationFit", "fit_of_annotations"]

SAMPLE = 80  # images of a split
FEWEST = 20  # images of a split that are judged
OTHERS = 20  # annotations of other images that each image is tried with
SIDE = 96  # px of the square that images and annotations are reduced to
LEAST_PIXELS = 50  # of the reduced image that are annotated

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class AnnotationFit:
    """A sample of each split.

    Attributes:
        rows: Of the index, ``[n]``.
        fit: Share of the annotations of other images of the split that explain an image's colours and edges worse than
            its own do, 0..1: about 1 where annotations belong to the image, 0.5 on average where they do not; ``[n]``.
    """

    ABSENT = Text(
        en=f"a split needs {FEWEST} images with boxes or label images that mark a part of the image",
        zh=f"子集至少需要 {FEWEST} 张用框或标签图像标出局部的图像",
    )

    rows: Rows
    fit: Floats


def fit_of_annotations(index: DatasetIndex, facts: ImageFacts, settings: ScanSettings | None) -> AnnotationFit:
    """Try each image of a sample with its own annotations and with those of others, or recall what came of it.

    Raises:
        NotCheckable: If no split has enough annotated images.
    """
    table = index.annotations
    if isinstance(table, ClassTable):
        raise NotCheckable(AnnotationFit.ABSENT)
    chance = np.random.default_rng(0)
    readable = np.flatnonzero(facts.is_readable)
    samples = [
        np.sort(chance.permutation(readable[index.splits[readable] == place])[:SAMPLE])
        for place in np.unique(index.splits[readable]).tolist()
    ]
    contents = [b" ".join(_content(index, row) for row in rows.tolist()) for rows in samples]
    chosen = settings or ScanSettings()
    found = recalled("annotation-fit", contents, chosen.cache, lambda: _measured(index, samples, chosen))
    if not len(found):
        raise NotCheckable(AnnotationFit.ABSENT)
    return AnnotationFit(rows=found[:, 0].astype(np.int64), fit=found[:, 1])


def _content(index: DatasetIndex, row: int) -> bytes:
    table = index.annotations
    image = stamp(index.path(row))
    if isinstance(table, MaskTable):
        return image + stamp(index.root / table.paths[row]) + table.labels.tobytes()
    return image + table.boxes[table.rows(row)].tobytes() if isinstance(table, BoxTable) else image


def _measured(index: DatasetIndex, samples: list[Rows], settings: ScanSettings) -> Floats:
    found, done, number = [np.zeros((0, 2), np.float32)], 0, sum(map(len, samples))
    for rows in samples:
        found.append(_fits(index, rows))
        done += len(rows)
        if settings.on_progress is not None:
            settings.on_progress(done, number)
    return np.concatenate(found)


def _fits(index: DatasetIndex, rows: Rows) -> Floats:
    """Return row and fit of the images of one split that are annotated in part; none if they are too few."""
    kept, looks, marks = [], [], []
    for row in rows.tolist():
        try:
            image = read_image(index.path(row))
            marked = _marked(index, row, (image.shape[1], image.shape[2]))
        except DatasetError:
            continue
        labels = marked[marked != IGNORE_LABEL]
        if len(labels) >= LEAST_PIXELS and (labels != labels[0]).any():
            kept.append(row)
            looks.append(_look(image.numpy()))
            marks.append(marked.reshape(-1))
    if len(kept) < FEWEST:
        return np.zeros((0, 2), np.float32)
    found = np.zeros((len(kept), 2), np.float32)
    for place, row in enumerate(kept):
        strangers = np.random.default_rng(row).permutation(np.delete(np.arange(len(kept)), place))[:OTHERS]
        own = _explained(looks[place], marks[place])
        found[place] = row, np.mean([own > _explained(looks[place], marks[other]) for other in strangers])
    return found


def _marked(index: DatasetIndex, row: int, size: tuple[int, int]) -> Labels:
    """Return the label of each pixel of the reduced image; for boxes 1 inside any of them."""
    table = index.annotations
    if isinstance(table, MaskTable):
        labels = table.labelled(read_mask(index.root / table.paths[row], coloured=table.coloured))
        return np.asarray(Image.fromarray(labels.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.NEAREST))
    marked = np.zeros((SIDE, SIDE), np.uint8)
    if isinstance(table, BoxTable):
        scale = SIDE / np.array([size[1], size[0], size[1], size[0]])
        corners = np.nan_to_num(table.boxes[table.rows(row)] * scale).clip(0, SIDE)
        for left, top, right, bottom in np.rint(corners).astype(int).tolist():
            marked[top : max(top + 1, bottom), left : max(left + 1, right)] = 1
    return marked


def _look(image: Labels) -> Floats:
    """Return lightness, two colours and the strength of edges of each pixel, ``[SIDE², 4]``."""
    small = Image.fromarray(image.transpose(1, 2, 0)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    lab = rgb2lab(np.asarray(small))
    down, across = np.gradient(lab[..., 0])
    found = np.dstack([lab, np.log1p(np.hypot(down, across))])
    return found.reshape(-1, found.shape[-1]).astype(np.float32)


def _explained(look: Floats, labels: Labels) -> float:
    """Return the share of the variance that lies between labels (eta squared), the mean over what is looked at."""
    counted = labels != IGNORE_LABEL
    look, labels = look[counted], labels[counted]
    if not len(labels):
        return 0.0
    counts = np.maximum(1, np.bincount(labels))
    centred = look - look.mean(0)
    between = [(np.bincount(labels, column) ** 2 / counts).sum() for column in centred.T]
    return float((np.array(between) / np.maximum((centred**2).sum(0), 1e-6)).mean())
