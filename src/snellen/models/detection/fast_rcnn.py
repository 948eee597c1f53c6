"""Fast R-CNN: one pass over the image, then features of each proposal from its map, and one loss for everything."""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from snellen.errors import ConfigError, InputError
from snellen.models.backbones import normalize_for
from snellen.models.detection.one_map import OneMap, SmallMap, caffenet_map, mobilenet_v2_map, vgg16_map
from snellen.models.detection.outside import OutsideProposals
from snellen.models.detection.regions import FcHead, Pooling
from snellen.models.detection.selection import SelectionSettings
from snellen.models.detection.two_stage import RegionSettings, TwoStage
from snellen.nn import Norm, Padding

__all__ = [
    "FAST_RCNN_SETTINGS",
    "fast_rcnn",
    "fast_rcnn_caffenet",
    "fast_rcnn_mobilenet_v2",
    "fast_rcnn_vgg16",
    "truncated_svd",
]

# Girshick 2015, section 2.3: of 128 regions in a batch of two images a quarter shows objects, the rest overlaps one by
# 0.1 to 0.5. Section 2.4: suppression as in R-CNN, whose code takes 0.3. Smooth L1 turns at 1 (eq. 3).
FAST_RCNN_SETTINGS = RegionSettings(
    negative_from=0.1, slots=64, positive_share=0.25, beta=1.0, selection=SelectionSettings(nms_iou=0.3)
)


def fast_rcnn(
    parts: OneMap,
    num_classes: int,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    settings: RegionSettings = FAST_RCNN_SETTINGS,
) -> TwoStage:
    """Return Fast R-CNN on a network that was cut in two.

    Regions of a step come from few images (of which each is seen once) instead of from all; how many images, the
    batch size says: 2 in the paper.

    Args:
        parts: The network.
        num_classes: Without background.
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
        settings: Sampling and selection.

    Source:
        Girshick 2015, https://arxiv.org/abs/1504.08083. Differs: the offsets are scaled by fixed spreads of 0.1 and 0.2
        instead of those of the data set; an image where no region overlaps an object by 0.1 uses those that overlap
        by less, so that images without objects teach too.
    """
    model = TwoStage(
        parts.backbone,
        None,
        OutsideProposals(),
        parts.region_features(),
        parts.head(num_classes),
        normalize=normalize_for(parts.backbone, mean, std),
        stride=parts.feature.stride,
        settings=settings,
    )
    model.foreign_names = (*parts.head_names, *TwoStage.foreign_names)
    return model


def fast_rcnn_caffenet(
    num_classes: int,
    *,
    backbone: str = "caffenet",
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> TwoStage:
    """Return Fast R-CNN with CaffeNet, the paper's small network."""
    return fast_rcnn(caffenet_map(backbone, norm=norm, padding=padding), num_classes, mean=mean, std=std)


def fast_rcnn_vgg16(
    num_classes: int,
    *,
    backbone: str = "vgg16",
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> TwoStage:
    """Return Fast R-CNN with VGG-16, the paper's large network; reads torchvision's ``vgg16``, fc6 and fc7 with it."""
    return fast_rcnn(vgg16_map(backbone, norm=norm, padding=padding), num_classes, mean=mean, std=std)


def fast_rcnn_mobilenet_v2(
    num_classes: int,
    *,
    backbone: str = "mobilenet_v2",
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    feature: SmallMap = "c4",
    pooling: Pooling = "roi_pool",
) -> TwoStage:
    """Return Fast R-CNN on a map of MobileNetV2, by default that of stride 16: it trains on two cores.

    Args:
        num_classes: Without background.
        backbone: Name of another network in the place of MobileNetV2.
        norm: Makes a norm layer from the number of channels.
        padding: See ``mobilenet_v2``.
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
        feature: The map that regions are pooled from.
        pooling: How; see ``SingleMapPool``.
    """
    parts = mobilenet_v2_map(backbone, norm=norm, padding=padding, feature=feature, pooling=pooling)
    return fast_rcnn(parts, num_classes, mean=mean, std=std)


def truncated_svd(model: TwoStage, *, rank_fc6: int, rank_fc7: int) -> TwoStage:
    """Return a copy whose fully connected layers are two thin ones each: detection is faster and hardly worse.

    Args:
        model: With an ``FcHead``; is left alone.
        rank_fc6: Singular values kept of fc6; 1024 of 4096 in the paper.
        rank_fc7: The same of fc7; 256 in the paper.

    Raises:
        InputError: If the model has no such layers.
        ConfigError: If a rank is not between 1 and the smaller side of the layer.

    Source:
        Girshick 2015, section 3.1: W ≈ U Σ Vᵀ, as a layer of weights Σ Vᵀ without bias and one of weights U.
    """
    if not isinstance(model.region_head, FcHead):
        raise InputError(
            f"truncated_svd expects a model whose region head has fc6 and fc7; got {type(model.region_head).__name__}. "
            "Choose a Fast R-CNN, or a Faster R-CNN with VGG-16, ZF or one map of MobileNetV2"
        )
    thin = copy.deepcopy(model)
    for name, rank in (("fc6", rank_fc6), ("fc7", rank_fc7)):
        setattr(thin.region_head.fc, name, _factored(getattr(model.region_head.fc, name), name, rank))
    return thin


@torch.no_grad()
def _factored(layer: nn.Module, name: str, rank: int) -> nn.Sequential:
    if not isinstance(layer, nn.Linear):
        raise InputError(f"truncated_svd expects a linear layer {name}; got one that is two already. Pass the original")
    largest = min(layer.weight.shape)
    if not 1 <= rank <= largest:
        raise ConfigError(f"rank_{name} must lie in 1..{largest}, the smaller side of {name}; got {rank}. Choose less")
    left, values, right = torch.linalg.svd(layer.weight, full_matrices=False)
    first = nn.Linear(layer.in_features, rank, bias=False).to(layer.weight)
    second = nn.Linear(rank, layer.out_features).to(layer.weight)
    first.weight.copy_(values[:rank, None] * right[:rank])
    second.weight.copy_(left[:, :rank])
    second.bias.copy_(layer.bias)
    return nn.Sequential(first, second)
