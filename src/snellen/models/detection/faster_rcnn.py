"""Faster R-CNN in its forms: parts put together.

Source:
    Ren et al. 2015, https://arxiv.org/abs/1506.01497; on a feature pyramid: Lin et al. 2017,
    https://arxiv.org/abs/1612.03144; with the last residual stage as head (C4): He et al. 2016, appendix A.
"""

from collections.abc import Sequence

from torch import nn

from snellen.models.backbones import (
    Backbone,
    Bottleneck,
    ResNet,
    find_backbone,
    picked_features,
    resnet_stage,
)
from snellen.models.detection.regions import PyramidAlign, SingleMapPool, StageHead, TwoMlpHead
from snellen.models.detection.rpn import ProposalSettings, RegionProposalNetwork
from snellen.models.detection.two_stage import RegionSettings, TwoStage
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD, FeaturePyramid, Norm, Normalize, Padding

__all__ = [
    "faster_rcnn_fpn",
    "faster_rcnn_mobilenet_v2_fpn",
    "faster_rcnn_r18_fpn",
    "faster_rcnn_r50_c4",
    "faster_rcnn_r50_fpn",
]

# Regions per image in the loss of the small variants: Fast R-CNN took 64, FPN 512; fewer make a step cheaper.
FEW_REGIONS = 128
_FEW_PROPOSALS = ProposalSettings(before_nms_train=1000, after_nms_train=1000)


def faster_rcnn_fpn(  # noqa: PLR0913 - the choices that the variants differ in
    backbone: Backbone,
    num_classes: int,
    *,
    levels: Sequence[str] = ("c2", "c3", "c4", "c5"),
    channels: int = 256,
    head_width: int = 1024,
    anchor_scale: int = 8,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    proposals: ProposalSettings | None = None,
    regions: RegionSettings | None = None,
) -> TwoStage:
    """Return Faster R-CNN on a feature pyramid over ``levels`` of any backbone.

    Args:
        backbone: With the features ``levels``.
        num_classes: Without background.
        levels: On which the pyramid stands; it adds one coarser map for the largest objects.
        channels: Depth of the pyramid; 256 in the paper.
        head_width: Of the two fully connected layers; 1024 in the paper.
        anchor_scale: Size of a level's anchors in cells of its map; 8 in the paper (32 px on stride 4).
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
        proposals: Settings of the first stage.
        regions: Settings of the second stage.
    """
    neck = FeaturePyramid(picked_features(backbone, levels), channels, extra="pool")
    sizes = [(anchor_scale * spec.stride,) for spec in neck.features]
    return TwoStage(
        backbone,
        neck,
        RegionProposalNetwork(neck.features, sizes=sizes, settings=proposals),
        PyramidAlign(neck.features[:-1]),
        TwoMlpHead(channels, num_classes, width=head_width),
        normalize=Normalize(mean, std),
        settings=regions,
    )


def faster_rcnn_r50_fpn(
    num_classes: int,
    *,
    norm: Norm = nn.BatchNorm2d,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> TwoStage:
    """Return Faster R-CNN with ResNet-50 and a pyramid; reads torchvision's ``fasterrcnn_resnet50_fpn``."""
    return faster_rcnn_fpn(find_backbone("resnet50")(norm=norm), num_classes, mean=mean, std=std)


def faster_rcnn_r18_fpn(
    num_classes: int,
    *,
    norm: Norm = nn.BatchNorm2d,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> TwoStage:
    """Return Faster R-CNN with ResNet-18 and everything above it half as wide: it trains on two cores.

    Anchors begin at 16 px, for it is meant for small images.
    """
    return faster_rcnn_fpn(
        find_backbone("resnet18")(norm=norm),
        num_classes,
        channels=128,
        head_width=512,
        anchor_scale=4,
        mean=mean,
        std=std,
        proposals=_FEW_PROPOSALS,
        regions=RegionSettings(slots=FEW_REGIONS),
    )


def faster_rcnn_mobilenet_v2_fpn(
    num_classes: int,
    *,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> TwoStage:
    """Return Faster R-CNN with MobileNetV2, a pyramid from stride 8 on and anchors from 32 px on."""
    return faster_rcnn_fpn(
        find_backbone("mobilenet_v2")(norm=norm, padding=padding),
        num_classes,
        levels=("c3", "c4", "c5"),
        anchor_scale=4,
        mean=mean,
        std=std,
        proposals=_FEW_PROPOSALS,
        regions=RegionSettings(slots=FEW_REGIONS),
    )


def faster_rcnn_r50_c4(
    num_classes: int,
    *,
    norm: Norm = nn.BatchNorm2d,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> TwoStage:
    """Return Faster R-CNN on one map of ResNet-50 (stride 16), with RoIPool and the last stage as head."""
    backbone = ResNet(Bottleneck, (3, 4, 6), norm=norm)
    feature = backbone.features[-1]
    stage = resnet_stage(Bottleneck, feature.channels, 512, num_blocks=3, stride=2, norm=norm)
    model = TwoStage(
        backbone,
        None,
        RegionProposalNetwork([feature], sizes=[(32, 64, 128, 256, 512)]),
        SingleMapPool(feature, output_size=14),
        StageHead(stage, 512 * Bottleneck.expansion, num_classes),
        normalize=Normalize(mean, std),
        stride=16,
        settings=RegionSettings(slots=FEW_REGIONS),
    )
    # The last stage of a plain network's weights belongs to the head here.
    model.foreign_names = ((r"^(backbone\.body\.)?layer4\.", "region_head.stage."), *TwoStage.foreign_names)
    return model
