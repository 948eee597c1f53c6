"""The head of R-CNN and SPPNet: softmax, support vector machines and ridge regression on features of regions.

Also which regions the machines and the regression are fitted to. The detector around it: ``fitted_two_stage.py``.

Shapes: N regions, K classes, D deep features, P pooled features.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from snellen.models.detection.feature_cache import ImageFeatures
from snellen.models.detection.fitting import (
    BoxExamples,
    LinearSvms,
    MiningSettings,
    RegionExamples,
    RidgeBoxes,
    RidgeSettings,
)
from snellen.models.detection.rpn import at_least_float32
from snellen.models.field_checks import SHARE, check_fields
from snellen.ops import box_iou, covered_share, kept_by_nms
from snellen.structures import TensorRecord

__all__ = ["FittedHead", "FittedVerdicts", "FittingSettings", "RegionVectors"]

# A region that lies in a crowd or a difficult object by more than this is no negative.
IGNORED_FROM = 0.5  # share of the region's area

_CLASS_SPREAD = 0.01  # of the new classification layer's weights; Girshick et al. 2014, section 2.3 (Caffe's usual)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittingSettings:
    """What the two fits see; defaults as in Girshick et al. 2014 (R-CNN).

    Attributes:
        mining: What the machines minimise, and which negatives they see.
        negatives_apart: If given, a region that overlaps a more promising one by more is no negative; 0.7 in
            SPPNet (He et al. 2014, section 4.1).
        ridge: How strongly the box regression is held back, and how near its regions are.
        feature_dtype: Of the features on disk; ``"float32"`` for those that are too large for half precision.
        keep_all_pooled: Whether the pooled features of all regions are kept on disk, as the paper did, or only of
            those that box regression learns from.
    """

    mining: MiningSettings = field(default_factory=MiningSettings)
    negatives_apart: float | None = None
    ridge: RidgeSettings = field(default_factory=RidgeSettings)
    feature_dtype: Literal["float16", "float32"] = "float16"
    keep_all_pooled: bool = False

    def __post_init__(self) -> None:
        """Refuse a type that is not there.

        Raises:
            ConfigError: If a field is out of its range.
        """
        check_fields(self, negatives_apart=SHARE)

    @property
    def dtype(self) -> torch.dtype:
        """As which features are written."""
        return torch.float16 if self.feature_dtype == "float16" else torch.float32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionVectors(TensorRecord):
    """Two descriptions of each region.

    Attributes:
        deep: What classes are told by: fc7.
        pooled: What boxes are refined by: pool5, which still knows where things are.
    """

    deep: Float[Tensor, "num_regions deep_channels"]
    pooled: Float[Tensor, "num_regions pooled_channels"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedVerdicts(TensorRecord):
    """Raw verdicts on regions.

    Attributes:
        classes: Of the softmax; column 0 is the background.
        margins: Of the machines, −∞ for classes without an example; None before they are fitted, and in training.
        offsets: From the region, for each class; None before the regression is fitted, and in training.
    """

    classes: Float[Tensor, "num_regions num_classes_and_background"]
    margins: Float[Tensor, "num_regions num_classes"] | None
    offsets: Float[Tensor, "num_regions num_classes 4"] | None


class FittedHead(nn.Module):
    """A softmax that learns by descent, and two layers that are solved for.

    Args:
        deep: Small maps to fc7: ``FcPair``, or a global average.
        num_classes: Without background.
        deep_channels: Depth of what ``deep`` returns.
        pooled_channels: Depth of what ``reduce`` returns.
        reduce: Small maps to the vectors that boxes are refined by; None flattens them.
        fitting: What the two fits see.

    Attributes:
        has_examples: Classes of which the machines have seen an object.

    Source:
        Girshick et al. 2014 (R-CNN), sections 2.2, 2.3, appendices B and C, https://arxiv.org/abs/1311.2524.
    """

    has_examples: Bool[Tensor, " num_classes"]

    def __init__(
        self,
        deep: nn.Module,
        num_classes: int,
        *,
        deep_channels: int,
        pooled_channels: int,
        reduce: nn.Module | None = None,
        fitting: FittingSettings | None = None,
    ) -> None:
        super().__init__()
        self.fitting = fitting or FittingSettings()
        self.num_classes = num_classes
        self.deep = deep
        self.reduce = nn.Flatten() if reduce is None else reduce
        self.classes = nn.Linear(deep_channels, num_classes + 1)
        self.svms = LinearSvms(num_classes, deep_channels)
        self.ridge = RidgeBoxes(num_classes, pooled_channels)
        self.register_buffer("has_examples", torch.ones(num_classes, dtype=torch.bool))
        nn.init.normal_(self.classes.weight, std=_CLASS_SPREAD)
        nn.init.zeros_(self.classes.bias)

    def forward(self, pooled: Float[Tensor, "num_regions *features"]) -> FittedVerdicts:
        """Return the verdicts on pooled regions, in float32 even where the layers compute in half precision."""
        deep = self.deep(pooled)
        classes = at_least_float32(self.classes(deep))
        margins = offsets = None
        if not self.training:
            with torch.autocast(pooled.device.type, enabled=False):  # margins and boxes need all their digits
                if bool(self.svms.fitted):
                    margins = self.svms(at_least_float32(deep)).masked_fill(~self.has_examples, -torch.inf)
                if bool(self.ridge.fitted):
                    offsets = self.ridge(at_least_float32(self.reduce(pooled)))
        return FittedVerdicts(classes=classes, margins=margins, offsets=offsets)

    def describe(self, pooled: Float[Tensor, "num_regions *features"]) -> RegionVectors:
        """Return what the two fits look at."""
        return RegionVectors(deep=at_least_float32(self.deep(pooled)), pooled=at_least_float32(self.reduce(pooled)))

    def forget(self) -> None:
        """Drop what was fitted: the features below have changed, or are about to."""
        for part in (self.svms, self.ridge):
            part.fitted.fill_(False)  # noqa: FBT003 - a tensor's method


def class_overlaps(features: ImageFeatures, num_classes: int) -> Float[Tensor, "num_regions num_classes"]:
    """Return how far each region overlaps the nearest object of each class, ignored objects included."""
    iou = box_iou(features.boxes, features.object_boxes)
    most = iou.new_zeros(len(features.boxes), num_classes)
    columns = features.object_labels.expand(len(features.boxes), -1)
    return most.scatter_reduce(1, columns, iou, reduce="amax")


def best_overlaps(
    boxes: Float[Tensor, "num_regions 4"], objects: Float[Tensor, "num_objects 4"]
) -> Float[Tensor, " num_regions"]:
    """Return how far each region overlaps the nearest object; 0 where there is none."""
    if len(objects) == 0:
        return boxes.new_zeros(len(boxes))
    return box_iou(boxes, objects).amax(dim=1)


def svm_examples(features: ImageFeatures, num_classes: int, settings: FittingSettings) -> RegionExamples:
    """Return the regions of an image as the machines see them.

    Positives are the objects' own boxes and nothing else; which of the others are negatives, overlaps say.

    Source:
        Girshick et al. 2014, section 2.3 and appendix B. Differs where SPPNet thins out the negatives: once for all
        classes, the most promising first.
    """
    overlaps = class_overlaps(features, num_classes)
    ignored = features.object_boxes[features.object_ignored]
    lost = (covered_share(features.boxes, ignored) > IGNORED_FROM).any(dim=1)
    if settings.negatives_apart is not None:
        rank = torch.arange(len(features.boxes), 0, -1, device=features.boxes.device).float()
        groups = torch.zeros(len(rank), dtype=torch.long, device=rank.device)
        lost |= ~kept_by_nms(features.boxes, rank, groups, iou_above=settings.negatives_apart, num_groups=1)
    labels = torch.full_like(features.is_object, -1, dtype=torch.long)
    labels[features.is_object] = features.object_labels[~features.object_ignored]  # their rows are in this order
    overlaps = torch.where(lost[:, None], 1.0, overlaps)
    overlaps[features.is_object, labels[features.is_object]] = 1.0  # even an object without area is no negative
    return RegionExamples(features=features.deep, overlaps=overlaps, labels=labels)


def box_examples(features: ImageFeatures) -> BoxExamples:
    """Return the regions of an image as the box regression sees them: those of which pooled features are kept."""
    wanted = ~features.object_ignored
    return BoxExamples(
        features=features.pooled,
        boxes=features.boxes[features.near],
        objects=features.object_boxes[wanted],
        labels=features.object_labels[wanted],
    )
