"""Features of regions, and the heads that judge them.

Shapes: N regions of all images of a batch, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.models.backbones import FcPair
from snellen.models.detection.rpn import at_least_float32
from snellen.nn import ConvNormAct, Norm
from snellen.ops import prroi_pool, pyramid_level, pyramid_roi_align, roi_align, roi_pool
from snellen.structures import FeatureSpec, TensorRecord

__all__ = [
    "ConvHead",
    "FcHead",
    "Pooling",
    "PyramidAlign",
    "RegionLogits",
    "RegionPredictor",
    "SingleMapPool",
    "StageHead",
    "TwoMlpHead",
]

Pooling = Literal["roi_pool", "roi_align", "prroi_pool"]

_CONVS = 4  # of the convolutional head


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
        self.features = tuple(features)
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
    """Features of regions from one map.

    Args:
        feature: The map.
        output_size: Bins per side.
        pooling: ``"roi_pool"`` takes the maximum of each bin, with edges rounded to cells; ``"roi_align"`` the mean of
            bilinear samples; ``"prroi_pool"`` the integral of the bilinear surface.
        sampling: Samples per bin and side of RoIAlign.

    Source:
        Girshick 2015 (Fast R-CNN), section 2.1; He et al. 2017 (Mask R-CNN), section 3; Jiang et al. 2018 (IoU-Net),
        section 3.3, https://arxiv.org/abs/1807.11590.
    """

    def __init__(
        self, feature: FeatureSpec, *, output_size: int = 14, pooling: Pooling = "roi_pool", sampling: int = 2
    ) -> None:
        super().__init__()
        self.feature = feature
        self.output_size = output_size
        self.pooling = pooling
        self.sampling = sampling

    def forward(
        self,
        features: Mapping[str, Tensor],
        boxes: Float[Tensor, "num_regions 4"],
        image: Int64[Tensor, " num_regions"],
    ) -> Float[Tensor, "num_regions channels output output"]:
        """Return the features of each region."""
        maps, size, scale = features[self.feature.name], self.output_size, 1 / self.feature.stride
        if self.pooling == "roi_align":
            return roi_align(maps, boxes, image, output_size=size, scale=scale, sampling=self.sampling)
        if self.pooling == "prroi_pool":
            return prroi_pool(at_least_float32(maps), boxes, image, output_size=size, scale=scale)
        return roi_pool(at_least_float32(maps), boxes, image, output_size=size, scale=scale)


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


class FcHead(nn.Module):
    """The two fully connected layers that a backbone was trained with, then classes and offsets.

    Args:
        fc: They; see ``FcPair``.
        num_classes: Without background.

    Source:
        Girshick 2015 (Fast R-CNN), section 2.2: the last layer gives way to two siblings, initialised with spread 0.01
        for the classes and 0.001 for the offsets (section 2.3).
    """

    def __init__(self, fc: FcPair, num_classes: int) -> None:
        super().__init__()
        self.fc = fc
        self.predictor = RegionPredictor(fc.out_features, num_classes)
        for layer, spread in ((self.predictor.classes, 0.01), (self.predictor.offsets, 0.001)):
            nn.init.normal_(layer.weight, std=spread)
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Float[Tensor, "num_regions channels output output"]) -> RegionLogits:
        """Return the verdicts on pooled regions."""
        result: RegionLogits = self.predictor(self.fc(pooled))
        return result


class ConvHead(nn.Module):
    """Four 3×3 convolutions and one fully connected layer, then classes and offsets.

    Args:
        channels: Of the pooled features.
        num_classes: Without background.
        pooled_size: Rows and columns of the pooled features.
        width: Of the fully connected layer.
        norm: Makes the norm layers of the convolutions.

    Source:
        Wu & He 2018 (Group Normalization), section 4.2 ("4conv1fc"), https://arxiv.org/abs/1803.08494.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        *,
        pooled_size: int = 7,
        width: int = 1024,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            *[ConvNormAct(channels, channels, norm=norm, activation=nn.ReLU) for _ in range(_CONVS)]
        )
        self.fc = nn.Linear(channels * pooled_size**2, width)
        self.predictor = RegionPredictor(width, num_classes)

    def forward(self, pooled: Float[Tensor, "num_regions channels output output"]) -> RegionLogits:
        """Return the verdicts on pooled regions."""
        result: RegionLogits = self.predictor(functional.relu(self.fc(self.convs(pooled).flatten(1))))
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
