"""SPPNet: the convolutions see each image once, and a pyramid of bins describes each region of their map."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.models.backbones import Backbone, FcPair, chosen_backbone, fc_pair_names, normalize_for, picked_features
from snellen.models.detection.fitted_head import FittedHead, FittingSettings
from snellen.models.detection.fitted_two_stage import FittedTwoStage, fitted_settings, network_names
from snellen.models.detection.rpn import at_least_float32
from snellen.nn import Norm, Normalize, Padding
from snellen.ops import box_area, spatial_pyramid_pool
from snellen.structures import FeatureSpec

__all__ = ["ImagePyramid", "PyramidPool", "sppnet_mobilenet_v2", "sppnet_vgg16", "sppnet_zf"]

_NETWORK = "backbone.network."  # where the network lies in the model
_MAP = "c4"  # conv5's map, stride 16

LEVELS = (1, 2, 3, 6)  # bins per side; He et al. 2014, section 4.1: 50 bins in all
# Of several scales a region is described in the one in which it has about this many pixels; section 4.1.
BEST_AREA_PX = 224**2
NEGATIVE_FROM = 0.1  # IoU of background regions in fine-tuning; section 4.1
NEGATIVES_APART = 0.7  # IoU; a negative of the machines that overlaps another by more is dropped; section 4.1

_SLOTS = 64  # regions of each image in fine-tuning; as R-CNN's here
_SMALL_WIDTH = 1024  # of fc6 and fc7 behind MobileNetV2, whose pyramid has 96 × 50 numbers
_CHUNK = 512


class ImagePyramid(Backbone):
    """A network that sees the image in one or several sizes.

    Args:
        network: Image to features.
        feature: The one that is wanted.
        factors: Sizes, as shares of the size in which the image comes.

    Attributes:
        features: One map for each factor; their names are those of ``map_names``.
    """

    def __init__(self, network: Backbone, *, feature: str, factors: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        if not factors or min(factors) <= 0:
            raise ConfigError(f"an image pyramid expects factors above 0, at least one; got {list(factors)}.")
        self.network = network
        self.feature = picked_features(network, [feature])[0]
        self.factors = tuple(factors)
        self.features = tuple(
            FeatureSpec(name=name, channels=self.feature.channels, stride=self.feature.stride)
            for name in map_names(feature, self.factors)
        )

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return one map for each factor, by name."""
        maps = {}
        for spec, factor in zip(self.features, self.factors, strict=True):
            sides = [max(1, round(side * factor)) for side in x.shape[-2:]]
            image = x
            if factor != 1:
                image = functional.interpolate(x, sides, mode="bilinear", align_corners=False, antialias=factor < 1)
            maps[spec.name] = self.network(image)[self.feature.name]
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules up to each feature; those of the second scale on are the same."""
        stages = self.network.stage_modules()
        names = list(stages)
        upto = [module for name in names[: names.index(self.feature.name) + 1] for module in stages[name]]
        return {spec.name: tuple(upto) for spec in self.features}


def map_names(feature: str, factors: Sequence[float]) -> tuple[str, ...]:
    """Return the names of the maps of ``feature`` at several sizes of the image."""
    return tuple(feature if factor == 1 else f"{feature}@{factor:g}" for factor in factors)


class PyramidPool(nn.Module):
    """Spatial pyramid pooling: the maximum of each bin of each level, in one long vector.

    Args:
        feature: The map, at the size in which the image comes.
        factors: Of the maps that there are; see ``ImagePyramid``.
        levels: Bins per side.

    Source:
        He et al. 2014 (SPPNet), section 2.2, 2.3 and 4.1, https://arxiv.org/abs/1406.4729.
    """

    def __init__(
        self, feature: FeatureSpec, *, factors: Sequence[float] = (1.0,), levels: Sequence[int] = LEVELS
    ) -> None:
        super().__init__()
        self.feature = feature
        self.factors = tuple(factors)
        self.levels = tuple(levels)
        self.names = map_names(feature.name, self.factors)
        self.out_features = feature.channels * sum(level**2 for level in self.levels)

    def forward(
        self,
        features: Mapping[str, Tensor],
        boxes: Float[Tensor, "num_regions 4"],
        image: Int64[Tensor, " num_regions"],
    ) -> Float[Tensor, "num_regions channels_and_bins"]:
        """Return the vector of each region, from the map in which the region's size is nearest to 224² px."""
        maps = [at_least_float32(features[name]) for name in self.names]
        if len(maps) == 1:
            return self._pooled(maps[0], boxes, image, self.factors[0])
        chosen = nearest_scale(boxes, self.factors)
        result = maps[0].new_zeros(len(boxes), self.out_features)
        for place, (each, factor) in enumerate(zip(maps, self.factors, strict=True)):
            rows = (chosen == place).nonzero()[:, 0]
            result = result.index_copy(0, rows, self._pooled(each, boxes[rows], image[rows], factor))
        return result

    def _pooled(self, features: Tensor, boxes: Tensor, image: Tensor, factor: float) -> Tensor:
        pooled = spatial_pyramid_pool(features, boxes, image, levels=self.levels, scale=factor / self.feature.stride)
        return pooled.flatten(1)

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"{self.feature.name!r}, factors={self.factors}, levels={self.levels}"


def nearest_scale(boxes: Float[Tensor, "num_regions 4"], factors: Sequence[float]) -> Int64[Tensor, " num_regions"]:
    """Return which factor brings each region nearest to ``BEST_AREA_PX`` square pixels."""
    areas = box_area(boxes)[:, None] * torch.tensor([factor**2 for factor in factors], device=boxes.device)
    return (areas - BEST_AREA_PX).abs().argmin(dim=1)


def sppnet_zf(  # noqa: PLR0913 - what a run can set
    num_classes: int,
    *,
    backbone: str = "zfnet",
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    levels: Sequence[int] = LEVELS,
    scales: Sequence[float] = (1.0,),
    fitting: FittingSettings | None = None,
) -> FittedTwoStage:
    """Return SPPNet with ZF (ZF-5), as first published.

    Args:
        num_classes: Without background.
        backbone: Name of another network in its place; its map of stride 16 is read.
        norm: Makes a norm layer behind each convolution; None, as published, for none.
        padding: ``"same"`` for weights trained with TensorFlow.
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
        levels: Bins per side of each level of the pyramid.
        scales: Sizes in which an image is seen, as shares of the size in which it comes. The paper's five: shorter
            sides of 480, 576, 688, 864 and 1200 px, of which 688 is the one of a single scale.
        fitting: What the two fits see.
    """
    network = _network(backbone, "zfnet", norm, padding)
    maps = ImagePyramid(network, feature=_MAP, factors=scales)
    return _sppnet(maps, num_classes, normalize_for(network, mean, std), levels, fitting)


def sppnet_vgg16(  # noqa: PLR0913 - what a run can set
    num_classes: int,
    *,
    backbone: str = "vgg16",
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    levels: Sequence[int] = LEVELS,
    scales: Sequence[float] = (1.0,),
    fitting: FittingSettings | None = None,
) -> FittedTwoStage:
    """Return SPPNet with VGG-16, as Girshick 2015 (Fast R-CNN) measured it; reads torchvision's ``vgg16``.

    The weights of fc6 fit with ``levels=(7,)`` only: a pyramid of 50 bins needs an fc6 of its own, and fc7 then follows
    a layer that it has not been trained with.

    Args:
        num_classes: Without background.
        backbone: Name of another network in its place; its map of stride 16 is read.
        norm: Makes a norm layer behind each convolution; None, as published, for none.
        padding: ``"same"`` for weights trained with TensorFlow.
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
        levels: Bins per side of each level of the pyramid.
        scales: Sizes in which an image is seen, as shares of the size in which it comes.
        fitting: What the two fits see.
    """
    network = _network(backbone, "vgg16", norm, padding)
    maps = ImagePyramid(network, feature=_MAP, factors=scales)
    model = _sppnet(maps, num_classes, normalize_for(network, mean, std), levels, fitting)
    if backbone == "vgg16":
        model.foreign_names = (*model.foreign_names, *fc_pair_names("vgg", "region_head.deep."))
    return model


def sppnet_mobilenet_v2(  # noqa: PLR0913 - what a run can set
    num_classes: int,
    *,
    backbone: str = "mobilenet_v2",
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    levels: Sequence[int] = LEVELS,
    scales: Sequence[float] = (1.0,),
    fitting: FittingSettings | None = None,
) -> FittedTwoStage:
    """Return SPPNet on the map of stride 16 of MobileNetV2: it trains on two cores.

    Args:
        num_classes: Without background.
        backbone: Name of another network in its place; its map of stride 16 is read.
        norm: Makes a norm layer from the number of channels; its statistics stay as they are.
        padding: See ``mobilenet_v2``.
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
        levels: Bins per side of each level of the pyramid.
        scales: Sizes in which an image is seen, as shares of the size in which it comes.
        fitting: What the two fits see.
    """
    network = _network(backbone, "mobilenet_v2", norm, padding)
    maps = ImagePyramid(network, feature=_MAP, factors=scales)
    return _sppnet(maps, num_classes, normalize_for(network, mean, std), levels, fitting, width=_SMALL_WIDTH)


def _network(name: str, usual: str, norm: Norm | None, padding: Padding) -> Backbone:
    ends_in = None if name == usual else _MAP
    return chosen_backbone(name, usual=usual, norm=norm, padding=padding, needs=(_MAP,), ends_in=ends_in)


def _sppnet(
    maps: ImagePyramid,
    num_classes: int,
    normalize: Normalize,
    levels: Sequence[int],
    fitting: FittingSettings | None,
    *,
    width: int = 4096,
) -> FittedTwoStage:
    """Return the detector; the layers below the pyramid are fixed, for SPPNet does not train through it.

    The paper presumes that they were trained to classify ImageNet. Without weights they stay random, which the
    catalogue says (``presumes_weights``) and a run tells; training them here would be another system.

    Source:
        He et al. 2014, section 4.1; Girshick 2015 (Fast R-CNN), section 1.1, on what that costs.
    """
    pool = PyramidPool(maps.feature, factors=maps.factors, levels=levels)
    pair = FcPair(pool.out_features, width=width)
    model = FittedTwoStage(
        maps,
        pool,
        FittedHead(
            pair,
            num_classes,
            deep_channels=width,
            pooled_channels=pool.out_features,
            fitting=fitting or FittingSettings(negatives_apart=NEGATIVES_APART),
        ),
        normalize=normalize,
        stride=maps.network.features[-1].stride,
        settings=fitted_settings(slots=_SLOTS, negative_from=NEGATIVE_FROM),
        fixed_backbone=True,
        chunk=_CHUNK,
    )
    model.foreign_names = network_names(maps.network, _NETWORK)
    return model
