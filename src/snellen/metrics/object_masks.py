"""Masks of objects through the measures of segmenters: a map of classes and panoptic quality."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64

from snellen.metrics.objects import ImageObjects
from snellen.metrics.panoptic import added, class_map, panoptic_counts, panoptic_figures, segments_of_objects
from snellen.metrics.segmentation import BACKGROUND_NAME, SegmentationMetric
from snellen.structures import MaskTarget, SegmentationMap, Table

__all__ = ["MaskFigures", "mask_figures"]

_OWN_ACUITY = "acuity_px"  # objects have one of their own


class MaskFigures(NamedTuple):
    """What masks of objects are worth as segments."""

    scalars: dict[str, float]
    tables: tuple[Table, ...]


def mask_figures(
    images: Sequence[ImageObjects], thresholds: Float64[np.ndarray, " num_classes"], classes: Sequence[str]
) -> MaskFigures:
    """Return panoptic quality, and the figures of segmenters for what the objects and the rest of the image make.

    Detections at or above the threshold of their class are laid over one another as ``segments_of_objects`` says; what
    no object covers is a class of its own, and crowds are ignored.

    Args:
        images: With masks.
        thresholds: Least score of each class.
        classes: Names in label order.
    """
    rest = BACKGROUND_NAME if BACKGROUND_NAME not in [name.casefold() for name in classes] else "no object"
    pixels = SegmentationMetric((rest, *classes))
    counts = []
    for row, image in enumerate(images):
        truth, found = segments_of_objects(image, thresholds)
        counts.append(panoptic_counts(truth, found, num_classes=len(classes)))
        said = torch.from_numpy(class_map(found))
        pixels.update(
            [SegmentationMap(labels=said, confidence=torch.ones(said.shape))],
            [MaskTarget(labels=torch.from_numpy(class_map(truth)))],
            [row],
        )
    figures = panoptic_figures(added(counts, len(classes)))
    results = pixels.result()
    scalars = {
        "PQ": _mean(figures.quality),
        "SQ": _mean(figures.segmentation),
        "RQ": _mean(figures.recognition),
        **{f"mask_{name}": value for name, value in results.scalars.items() if name != _OWN_ACUITY},
    }
    rows = [
        (name, *(None if np.isnan(part[label]) else float(part[label]) for part in figures))
        for label, name in enumerate(classes)
    ]
    panoptic = Table(
        title="Panoptic quality",
        columns=("Class", "PQ", "SQ", "RQ"),
        rows=tuple(rows),
        note="At the score threshold of each class. SQ: how well matched objects fit. RQ: how many are matched.",
    )
    own = results.tables[0]
    as_classes = Table(title="Masks as classes", columns=own.columns, rows=own.rows, note=own.note)
    return MaskFigures(scalars, (panoptic, as_classes))


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
