"""R-CNN: every region is cut out, warped to one size and sent through the whole network."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.models.backbones import (
    ALEXNET_POOLED,
    VGG_POOLED,
    Backbone,
    FcPair,
    alexnet,
    chosen_backbone,
    fc_pair_names,
    normalize_for,
    picked_features,
    vgg16,
)
from snellen.models.detection.fitted_head import FittedHead, FittingSettings
from snellen.models.detection.fitted_two_stage import FittedTwoStage, fitted_settings, network_names
from snellen.nn import Norm, Normalize, Padding
from snellen.ops import warp_crops

__all__ = ["GlobalAverage", "ImageItself", "WarpedCrops", "rcnn_alexnet", "rcnn_mobilenet_v2", "rcnn_vgg16"]

_IMAGE = "image"
_NETWORK = "region_features.network."  # where the network lies in the model

# Of 227 px, on every side, of the warped crop; Girshick et al. 2014, section 2.1 and appendix A.
CONTEXT_PX = 16
_ALEXNET_SIZE = 227
_VGG_SIZE = 224
_SMALL_SIZE = 96  # 3 × 3 cells of stride 32: a crop costs a sixth of one of 224 px
_SMALL_BINS = 2  # per side of what box regression looks at, of MobileNetV2's 1280 channels: 5120 numbers
_SMALL_CHUNK = 32  # crops at a time; 128 take 1.6 times as long on one core, for their maps leave the cache

# Regions of each image in fine-tuning. The paper's step has 128 regions: two images of 64.
_SLOTS = 64
_FEW_SLOTS = 32  # of the small variant: a step takes seconds on two cores


class ImageItself(nn.Module):
    """In the place of a backbone: what regions are cut out of is the image."""

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Tensor]:
        """Return the normalised image under the name ``image``."""
        return {_IMAGE: x}


class WarpedCrops(nn.Module):
    """Cuts out each region with some context, warps it to a square, and sends it through a network.

    The warp is anisotropic: a square shows a wide region squeezed. Around the image is its mean colour.

    Args:
        network: Crops to features.
        feature: Which of its features describes a crop.
        size: Side of the crop in pixels.
        context: Pixels of the crop on every side that show what is around the region.

    Source:
        Girshick et al. 2014 (R-CNN), section 2.1 and appendix A, https://arxiv.org/abs/1311.2524.
    """

    def __init__(self, network: Backbone, *, feature: str, size: int, context: int = CONTEXT_PX) -> None:
        super().__init__()
        self.network = network
        self.feature = picked_features(network, [feature])[0]
        self.size = size
        self.context = context

    def forward(
        self,
        features: Mapping[str, Tensor],
        boxes: Float[Tensor, "num_regions 4"],
        image: Int64[Tensor, " num_regions"],
    ) -> Float[Tensor, "num_regions channels height width"]:
        """Return the features of each region."""
        crops = warp_crops(features[_IMAGE], boxes, image, size=self.size, context=self.context)
        described: Tensor = self.network(crops)[self.feature.name]
        return described

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"size={self.size}, context={self.context}, feature={self.feature.name!r}"


class GlobalAverage(nn.Module):
    """The mean over the cells of a map, in the place of fully connected layers."""

    def forward(self, pooled: Float[Tensor, "num_regions channels height width"]) -> Tensor:
        """Return one vector for each region."""
        return functional.adaptive_avg_pool2d(pooled, 1).flatten(1)


def rcnn_alexnet(
    num_classes: int,
    *,
    norm: Norm | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    crop_size: int = _ALEXNET_SIZE,
    fitting: FittingSettings | None = None,
) -> FittedTwoStage:
    """Return R-CNN with AlexNet, as first published; reads torchvision's ``alexnet``.

    Differs: AlexNet in one column instead of Caffe's in two.

    Args:
        num_classes: Without background.
        norm: Makes a norm layer behind each convolution; None, as published, for none.
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
        crop_size: Side of a warped crop in pixels; fc6 reads 6×6 cells, which 224 to 254 px give.
        fitting: What the two fits see.
    """
    crops = WarpedCrops(alexnet(norm=norm, padded=False), feature="c5", size=crop_size)
    pooled = crops.feature.channels * ALEXNET_POOLED**2
    model = _rcnn(crops, _fc_head(pooled, num_classes, fitting), normalize_for(crops.network, mean, std), chunk=128)
    model.foreign_names = (*network_names(crops.network, _NETWORK), *fc_pair_names("alexnet", "region_head.deep."))
    return model


def rcnn_vgg16(
    num_classes: int,
    *,
    norm: Norm | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    crop_size: int = _VGG_SIZE,
    fitting: FittingSettings | None = None,
) -> FittedTwoStage:
    """Return R-CNN with VGG-16, the paper's most accurate and slowest; reads torchvision's ``vgg16``.

    Args:
        num_classes: Without background.
        norm: Makes a norm layer behind each convolution; None, as published, for none.
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
        crop_size: Side of a warped crop in pixels; fc6 reads 7×7 cells, which 193 to 224 px give.
        fitting: What the two fits see.
    """
    crops = WarpedCrops(vgg16(norm=norm), feature="c5", size=crop_size)
    pooled = crops.feature.channels * VGG_POOLED**2
    model = _rcnn(crops, _fc_head(pooled, num_classes, fitting), normalize_for(crops.network, mean, std), chunk=32)
    model.foreign_names = (*network_names(crops.network, _NETWORK), *fc_pair_names("vgg", "region_head.deep."))
    return model


def rcnn_mobilenet_v2(
    num_classes: int,
    *,
    backbone: str = "mobilenet_v2",
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    crop_size: int = _SMALL_SIZE,
    fitting: FittingSettings | None = None,
) -> FittedTwoStage:
    """Return R-CNN with MobileNetV2 on small crops: it trains on two cores.

    The average of the last map stands for fc7, and the last map in 2×2 bins for pool5.

    Args:
        num_classes: Without background.
        backbone: Name of another network in the place of MobileNetV2; its last map is read.
        norm: Makes a norm layer from the number of channels.
        padding: See ``mobilenet_v2``.
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
        crop_size: Side of a warped crop in pixels. The context keeps the paper's share of it.
        fitting: What the two fits see.
    """
    context = round(CONTEXT_PX * crop_size / _ALEXNET_SIZE)
    network = chosen_backbone(backbone, usual="mobilenet_v2", norm=norm, padding=padding)
    crops = WarpedCrops(network, feature=network.features[-1].name, size=crop_size, context=context)
    channels = crops.feature.channels
    head = FittedHead(
        GlobalAverage(),
        num_classes,
        deep_channels=channels,
        pooled_channels=channels * _SMALL_BINS**2,
        reduce=nn.Sequential(nn.AdaptiveAvgPool2d(_SMALL_BINS), nn.Flatten()),
        fitting=fitting,
    )
    model = _rcnn(crops, head, normalize_for(crops.network, mean, std), chunk=_SMALL_CHUNK, slots=_FEW_SLOTS)
    model.foreign_names = network_names(network, _NETWORK)
    return model


def _fc_head(pooled: int, num_classes: int, fitting: FittingSettings | None) -> FittedHead:
    pair = FcPair(pooled)
    return FittedHead(pair, num_classes, deep_channels=pair.out_features, pooled_channels=pooled, fitting=fitting)


def _rcnn(
    crops: WarpedCrops, head: FittedHead, normalize: Normalize, *, chunk: int, slots: int = _SLOTS
) -> FittedTwoStage:
    return FittedTwoStage(
        ImageItself(),
        crops,
        head,
        normalize=normalize,
        stride=1,
        settings=fitted_settings(slots=slots),
        chunk=chunk,
    )
