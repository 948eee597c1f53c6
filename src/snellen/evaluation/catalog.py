"""Which metric serves which kind of target."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import ArrayLike

from snellen.metrics import ClassificationMetric, DetectionMetric, LabelSetMetric, SegmentationMetric, ValueMetric
from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, Metric, Target, ValueTarget

__all__ = ["METRICS", "Attributes", "MetricBuilder"]

Attributes = Mapping[str, ArrayLike]  # further facts of a data set, one value for each of its rows


class MetricBuilder(Protocol):
    """Makes an empty metric for a data set."""

    def __call__(self, classes: Sequence[str], attributes: Attributes | None = None) -> Metric:
        """Return a metric; ``attributes`` are those of the whole data set, by row."""


def _detection(classes: Sequence[str], attributes: Attributes | None = None) -> Any:
    del attributes  # boxes have heights of their own
    return DetectionMetric(classes)


def _classification(classes: Sequence[str], attributes: Attributes | None = None) -> Any:
    return ClassificationMetric(classes, letter_height_px=(attributes or {}).get("letter_height"))


def _segmentation(classes: Sequence[str], attributes: Attributes | None = None) -> Any:
    del attributes  # regions have heights of their own
    return SegmentationMetric(classes)


def _label_sets(classes: Sequence[str], attributes: Attributes | None = None) -> Any:
    del attributes
    return LabelSetMetric(classes)


def _values(classes: Sequence[str], attributes: Attributes | None = None) -> Any:
    del attributes
    return ValueMetric(classes)


METRICS: Mapping[type[Target], MetricBuilder] = {
    BoxTarget: _detection,
    ClassTarget: _classification,
    LabelSetTarget: _label_sets,
    MaskTarget: _segmentation,
    ValueTarget: _values,
}
