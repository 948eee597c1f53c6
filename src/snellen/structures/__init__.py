"""What flows between the parts: frozen records of tensors, and the protocols."""

from snellen.structures.batch import Batch, Sample
from snellen.structures.features import FeatureSpec
from snellen.structures.images import ImageBatch
from snellen.structures.nested import flat_tensors
from snellen.structures.predictions import (
    ClassScores,
    Detections,
    LabelSetScores,
    Prediction,
    SegmentationMap,
    ValueEstimates,
)
from snellen.structures.protocols import Dataset, Metric, Model
from snellen.structures.record import TensorRecord
from snellen.structures.regions import Regions
from snellen.structures.results import Curve, ImageScore, Matrix, Results, Series, Table
from snellen.structures.stages import Fact, FitData, Stage, Staged
from snellen.structures.targets import (
    IGNORE_LABEL,
    BoxTarget,
    ClassTarget,
    LabelSetTarget,
    MaskTarget,
    Target,
    ValueTarget,
)

__all__ = [
    "IGNORE_LABEL",
    "Batch",
    "BoxTarget",
    "ClassScores",
    "ClassTarget",
    "Curve",
    "Dataset",
    "Detections",
    "Fact",
    "FeatureSpec",
    "FitData",
    "ImageBatch",
    "ImageScore",
    "LabelSetScores",
    "LabelSetTarget",
    "MaskTarget",
    "Matrix",
    "Metric",
    "Model",
    "Prediction",
    "Regions",
    "Results",
    "Sample",
    "SegmentationMap",
    "Series",
    "Stage",
    "Staged",
    "Table",
    "Target",
    "TensorRecord",
    "ValueEstimates",
    "ValueTarget",
    "flat_tensors",
]
