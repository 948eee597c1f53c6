"""Rows of the catalogue for classical segmenters."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from snellen.models.entry import ModelEntry
from snellen.models.segmentation.classical.methods import METHODS
from snellen.models.segmentation.classical.model import ClassicalSegmenter
from snellen.nn import Norm
from snellen.structures import MaskTarget

__all__ = ["CLASSICAL_SEGMENTERS"]


def _classical(
    method: str,
    num_classes: int,
    *,
    norm: Norm | None = nn.BatchNorm2d,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ClassicalSegmenter:
    """Return a classical segmenter; there is no norm, mean or std in it to change."""
    del norm, mean, std
    return ClassicalSegmenter(num_classes, method=method)


CLASSICAL_SEGMENTERS: tuple[ModelEntry, ...] = tuple(
    ModelEntry(
        name=method.name,
        build=partial(_classical, method.name),
        target_type=MaskTarget,
        summary=method.summary,
        paper=method.paper,
        licence="Apache-2.0",
        default_size=(256, 256),
        page=method.page,
    )
    for method in METHODS
)
