"""Faster R-CNN in its forms: parts put together.

Source:
    Ren et al. 2015, https://arxiv.org/abs/1506.01497; on a feature pyramid: Lin et al. 2017,
    https://arxiv.org/abs/1612.03144; with the last residual stage as head (C4): He et al. 2016, appendix A.
"""

from collections.abc import Sequence

from torch import nn

from snellen.models.backbones import Backbone, Bottleneck, ResNet, find_backbone, picked_features, resnet_stage
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

# Regions per image in the loss of the small variants: Fast R-CNN took 64, Faster R-CNN 128 to 256, FPN 512. With
# 128 a step on a CPU takes about half the time of one with 512.
FEW_REGIONS = 128


def faster_rcnn_fpn(
    backbone: Backbone,
    num_classes: int,
    *,
    levels: Sequence[str] = ("c2", "c3", "c4", "c5"),
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    proposals: ProposalSettings | None = None,
    regions: RegionSettings | None = None,
) -> TwoStage:
    """Return Faster R-CNN on a feature pyramid over ``levels`` of any backbone.

    Anchors have one size per level, eight times its stride, as in the paper (32 px on stride 4 … 512 px on 64).
    """
    neck = FeaturePyramid(picked_features(backbone, levels), 256, extra="pool")
    return TwoStage(
        backbone,
        neck,
        RegionProposalNetwork(neck.features, sizes=[(8 * spec.stride,) for spec in neck.features], settings=proposals),
        PyramidAlign(neck.features[:-1]),
        TwoMlpHead(256, num_classes),
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
    """Return Faster R-CNN with ResNet-18, a pyramid and fewer regions in the loss."""
    return faster_rcnn_fpn(
        find_backbone("resnet18")(norm=norm),
        num_classes,
        mean=mean,
        std=std,
        regions=RegionSettings(slots=FEW_REGIONS),
        proposals=ProposalSettings(before_nms_train=1000, after_nms_train=1000),
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
    backbone = find_backbone("mobilenet_v2")(norm=norm, padding=padding)
    neck = FeaturePyramid(picked_features(backbone, ("c3", "c4", "c5")), 256, extra="pool")
    return TwoStage(
        backbone,
        neck,
        RegionProposalNetwork(
            neck.features,
            sizes=[(4 * spec.stride,) for spec in neck.features],
            settings=ProposalSettings(before_nms_train=1000, after_nms_train=1000),
        ),
        PyramidAlign(neck.features[:-1]),
        TwoMlpHead(256, num_classes),
        normalize=Normalize(mean, std),
        settings=RegionSettings(slots=FEW_REGIONS),
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
    return TwoStage(
        backbone,
        None,
        RegionProposalNetwork([feature], sizes=[(32, 64, 128, 256, 512)]),
        SingleMapPool(feature, output_size=14),
        StageHead(stage, 512 * Bottleneck.expansion, num_classes),
        normalize=Normalize(mean, std),
        stride=16,
        settings=RegionSettings(slots=FEW_REGIONS),
    )
