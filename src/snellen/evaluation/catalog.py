"""Which metric serves which kind of target."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import ArrayLike

from snellen.evaluation.judging import Judging
from snellen.metrics import ClassificationMetric, DetectionMetric, LabelSetMetric, SegmentationMetric, ValueMetric
from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, Metric, Target, ValueTarget

__all__ = ["METRICS", "Attributes", "MetricBuilder"]

Attributes = Mapping[str, ArrayLike]  # further facts of a data set, one value for each of its rows


class MetricBuilder(Protocol):
    """Makes an empty metric for a data set."""

    def __call__(
        self, classes: Sequence[str], attributes: Attributes | None = None, judging: Judging | None = None
    ) -> Metric:
        """Return a metric.

        Args:
            classes: Names in label order.
            attributes: Of the whole data set, by row.
            judging: What a run has settled.
        """


def _detection(classes: Sequence[str], attributes: Attributes | None = None, judging: Judging | None = None) -> Any:
    del attributes, judging  # boxes have heights of their own
    return DetectionMetric(classes)


def _classification(
    classes: Sequence[str], attributes: Attributes | None = None, judging: Judging | None = None
) -> Any:
    settled = judging or Judging()
    return ClassificationMetric(
        classes,
        headline=settled.headline,  # type: ignore[arg-type]  # checked when the run was planned
        decision=settled.decision,
        letter_height_px=(attributes or {}).get("letter_height"),
    )


def _segmentation(classes: Sequence[str], attributes: Attributes | None = None, judging: Judging | None = None) -> Any:
    del attributes, judging  # regions have heights of their own
    return SegmentationMetric(classes)


def _label_sets(classes: Sequence[str], attributes: Attributes | None = None, judging: Judging | None = None) -> Any:
    del attributes
    decision = None if judging is None else judging.decision
    return LabelSetMetric(classes, thresholds=None if decision is None else decision.thresholds)


def _values(classes: Sequence[str], attributes: Attributes | None = None, judging: Judging | None = None) -> Any:
    del attributes, judging
    return ValueMetric(classes)


METRICS: Mapping[type[Target], MetricBuilder] = {
    BoxTarget: _detection,
    ClassTarget: _classification,
    LabelSetTarget: _label_sets,
    MaskTarget: _segmentation,
    ValueTarget: _values,
}
