"""Features of regions, and the heads that judge them.

Shapes: N regions of all images of a batch, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.models.detection.rpn import at_least_float32
from snellen.ops import pyramid_level, pyramid_roi_align, roi_pool
from snellen.structures import FeatureSpec, TensorRecord

__all__ = ["PyramidAlign", "RegionLogits", "SingleMapPool", "StageHead", "TwoMlpHead"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionLogits(TensorRecord):
    """Raw verdicts on regions.

    Attributes:
        classes: Column 0 is the background.
        offsets: From the region, for each class.
    """

    classes: Float[Tensor, "num_regions num_classes_and_background"]
    offsets: Float[Tensor, "num_regions num_classes_and_background 4"]


class PyramidAlign(nn.Module):
    """RoIAlign on the pyramid level that suits each region's size.

    Args:
        features: The maps to pool from, finest first.
        output_size: Bins per side.
        sampling: Samples per bin and side.

    Source:
        Lin et al. 2017 (FPN), section 4.2; He et al. 2017 (Mask R-CNN), section 3.
    """

    def __init__(self, features: Sequence[FeatureSpec], *, output_size: int = 7, sampling: int = 2) -> None:
        super().__init__()
        self.names = tuple(spec.name for spec in features)
        self.strides = tuple(spec.stride for spec in features)
        self.output_size = output_size
        self.sampling = sampling

    def forward(
        self,
        features: Mapping[str, Tensor],
        boxes: Float[Tensor, "num_regions 4"],
        image: Int64[Tensor, " num_regions"],
    ) -> Float[Tensor, "num_regions channels output output"]:
        """Return the features of each region."""
        lowest, highest = (stride.bit_length() - 1 for stride in (self.strides[0], self.strides[-1]))
        return pyramid_roi_align(
            [features[name] for name in self.names],
            boxes,
            image,
            pyramid_level(boxes, lowest=lowest, highest=highest),
            output_size=self.output_size,
            scales=[1 / stride for stride in self.strides],
            sampling=self.sampling,
        )


class SingleMapPool(nn.Module):
    """RoIPool from one map.

    Args:
        feature: The map.
        output_size: Bins per side.

    Source:
        Girshick 2015 (Fast R-CNN), section 2.1.
    """

    def __init__(self, feature: FeatureSpec, *, output_size: int = 14) -> None:
        super().__init__()
        self.feature = feature
        self.output_size = output_size

    def forward(
        self,
        features: Mapping[str, Tensor],
        boxes: Float[Tensor, "num_regions 4"],
        image: Int64[Tensor, " num_regions"],
    ) -> Float[Tensor, "num_regions channels output output"]:
        """Return the features of each region."""
        return roi_pool(
            at_least_float32(features[self.feature.name]),
            boxes,
            image,
            output_size=self.output_size,
            scale=1 / self.feature.stride,
        )


class RegionPredictor(nn.Module):
    """The two last layers of a region head: classes and offsets."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.classes = nn.Linear(channels, num_classes + 1)
        self.offsets = nn.Linear(channels, (num_classes + 1) * 4)

    def forward(self, hidden: Float[Tensor, "num_regions channels"]) -> RegionLogits:
        """Return the verdicts, in float32 even where the layers compute in half precision."""
        offsets = at_least_float32(self.offsets(hidden))
        return RegionLogits(classes=at_least_float32(self.classes(hidden)), offsets=offsets.view(len(offsets), -1, 4))


class TwoMlpHead(nn.Module):
    """Two fully connected layers of one width, then classes and offsets.

    Source:
        Lin et al. 2017 (FPN), section 4.2.
    """

    def __init__(self, channels: int, num_classes: int, *, pooled_size: int = 7, width: int = 1024) -> None:
        super().__init__()
        self.fc6 = nn.Linear(channels * pooled_size**2, width)
        self.fc7 = nn.Linear(width, width)
        self.predictor = RegionPredictor(width, num_classes)

    def forward(self, pooled: Float[Tensor, "num_regions channels output output"]) -> RegionLogits:
        """Return the verdicts on pooled regions."""
        hidden = functional.relu(self.fc6(pooled.flatten(1)))
        result: RegionLogits = self.predictor(functional.relu(self.fc7(hidden)))
        return result


class StageHead(nn.Module):
    """The last stage of a residual network on each region, averaged, then classes and offsets (the C4 form).

    Args:
        stage: The stage, with its stride of 2.
        channels: Its depth.
        num_classes: Without background.

    Source:
        He et al. 2016 (ResNet), appendix A, https://arxiv.org/abs/1512.03385.
    """

    def __init__(self, stage: nn.Module, channels: int, num_classes: int) -> None:
        super().__init__()
        self.stage = stage
        self.predictor = RegionPredictor(channels, num_classes)

    def forward(self, pooled: Float[Tensor, "num_regions channels output output"]) -> RegionLogits:
        """Return the verdicts on pooled regions."""
        result: RegionLogits = self.predictor(self.stage(pooled).mean(dim=(2, 3)))
        return result
