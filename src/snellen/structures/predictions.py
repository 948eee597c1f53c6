"""What a model said about one image, in the pixels of the original file: one type per task."""

from dataclasses import dataclass

from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from snellen.structures.record import TensorRecord

__all__ = ["ClassScores", "Detections", "LabelSetScores", "Prediction", "SegmentationMap", "ValueEstimates"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections(TensorRecord):
    """Objects found in one image, best first.

    Attributes:
        boxes: xyxy in pixels of the original image.
        scores: 0..1, falling.
        labels: 0..K-1.
        masks: One binary mask per object at the original size, or None.
    """

    boxes: Float[Tensor, "num_boxes 4"]
    scores: Float[Tensor, " num_boxes"]
    labels: Int64[Tensor, " num_boxes"]
    masks: UInt8[Tensor, "num_boxes height width"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentationMap(TensorRecord):
    """The class of every pixel of one image.

    Attributes:
        labels: 0..K-1.
        confidence: Probability of that label, 0..1.
    """

    labels: UInt8[Tensor, "height width"]
    confidence: Float[Tensor, "height width"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassScores(TensorRecord):
    """The probability of every class for one image.

    Attributes:
        probs: Sums to 1.
    """

    probs: Float[Tensor, " num_classes"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelSetScores(TensorRecord):
    """The probability of every class that one image shows it; each stands for itself.

    Attributes:
        probs: 0..1 each; their sum is the expected number of classes, not 1.
    """

    probs: Float[Tensor, " num_classes"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValueEstimates(TensorRecord):
    """The numbers that belong to one image.

    Attributes:
        values: In the units of the data set.
    """

    values: Float[Tensor, " num_values"]


Prediction = Detections | SegmentationMap | ClassScores | LabelSetScores | ValueEstimates
