"""Faster R-CNN in its forms: parts put together.

Source:
    Ren et al. 2015, https://arxiv.org/abs/1506.01497; on a feature pyramid: Lin et al. 2017,
    https://arxiv.org/abs/1612.03144; with the last residual stage as head (C4): He et al. 2016, appendix A.
"""

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from snellen.models.backbones import (
    Backbone,
    Bottleneck,
    ResNet,
    normalize_for,
    picked_features,
    pyramid_backbone,
    resnet_stage,
)
from snellen.models.detection.fast_rcnn import FAST_RCNN_SETTINGS
from snellen.models.detection.one_map import OneMap, mobilenet_v2_map, vgg16_map, zf_map
from snellen.models.detection.regions import Pooling, PyramidAlign, SingleMapPool, StageHead, TwoMlpHead
from snellen.models.detection.rpn import ProposalSettings, RegionProposalNetwork
from snellen.models.detection.two_stage import RegionSettings, TwoStage
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD, FeaturePyramid, Norm, Normalize, Padding

__all__ = [
    "faster_rcnn_fpn",
    "faster_rcnn_mobilenet_v2_c4",
    "faster_rcnn_mobilenet_v2_fpn",
    "faster_rcnn_one_map",
    "faster_rcnn_r18_fpn",
    "faster_rcnn_r50_c4",
    "faster_rcnn_r50_fpn",
    "faster_rcnn_vgg16",
    "faster_rcnn_zf",
]

PYRAMID_LEVELS = ("c2", "c3", "c4", "c5")  # strides 4 to 32; Lin et al. 2017, section 4
COARSE_LEVELS = ("c3", "c4", "c5")  # of the variants for CPUs, for which a map of stride 4 costs too much

# Regions per image in the loss of the small variants: Fast R-CNN took 64, FPN 512; fewer make a step cheaper.
FEW_REGIONS = 128
_FEW_PROPOSALS = ProposalSettings(before_nms_train=1000, after_nms_train=1000)

# Ren et al. 2015, section 3.1.1 and 3.3: nine anchors; anchors across the edge teach nothing; 2000 proposals in
# training and 300 in evaluation. Candidates before suppression and the smallest proposal: py-faster-rcnn's config.
PAPER_ANCHORS = (128, 256, 512)
PAPER_PROPOSALS = ProposalSettings(
    inside_only=True,
    before_nms_train=12_000,
    before_nms_test=6000,
    after_nms_train=2000,
    after_nms_test=300,
    min_side_px=16,
)
# Section 3.1.3's batch of one image; the rest is Fast R-CNN's, with all of the background, as py-faster-rcnn's
# end-to-end training has it.
PAPER_REGIONS = replace(FAST_RCNN_SETTINGS, negative_from=0.0, slots=128)
# For small images: the smallest letters and cells are a cell of the map wide.
SMALL_ANCHORS = (16, 32, 64, 128, 256)
_SMALL_PROPOSALS = replace(_FEW_PROPOSALS, after_nms_test=300)
SMALL_REGIONS = replace(PAPER_REGIONS, slots=64)


def faster_rcnn_fpn(  # noqa: PLR0913 - the choices that the variants differ in
    backbone: Backbone,
    num_classes: int,
    *,
    levels: Sequence[str] = PYRAMID_LEVELS,
    channels: int = 256,
    head_width: int = 1024,
    anchor_scale: int = 8,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
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
        mean: Of R, G, B where 1 is full scale; None for what the backbone's published weights expect.
        std: Spread of R, G, B where 1 is full scale; None for the same.
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
        normalize=normalize_for(backbone, mean, std),
        stride=neck.inputs[-1].stride,
        settings=regions,
    )


def faster_rcnn_r50_fpn(
    num_classes: int,
    *,
    backbone: str = "resnet50",
    levels: Sequence[str] = PYRAMID_LEVELS,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> TwoStage:
    """Return Faster R-CNN with ResNet-50 and a pyramid; reads torchvision's ``fasterrcnn_resnet50_fpn``."""
    network = pyramid_backbone(backbone, levels, usual="resnet50", norm=norm, padding=padding)
    return faster_rcnn_fpn(network, num_classes, levels=levels, mean=mean, std=std)


def faster_rcnn_r18_fpn(
    num_classes: int,
    *,
    backbone: str = "resnet18",
    levels: Sequence[str] = PYRAMID_LEVELS,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> TwoStage:
    """Return Faster R-CNN with ResNet-18 and everything above it half as wide: it trains on two cores.

    Anchors begin at 16 px, for it is meant for small images.
    """
    return faster_rcnn_fpn(
        pyramid_backbone(backbone, levels, usual="resnet18", norm=norm, padding=padding),
        num_classes,
        levels=levels,
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
    backbone: str = "mobilenet_v2",
    levels: Sequence[str] = COARSE_LEVELS,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> TwoStage:
    """Return Faster R-CNN with MobileNetV2, a pyramid from stride 8 on and anchors from 32 px on."""
    return faster_rcnn_fpn(
        pyramid_backbone(backbone, levels, usual="mobilenet_v2", norm=norm, padding=padding),
        num_classes,
        levels=levels,
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


def faster_rcnn_one_map(
    parts: OneMap,
    num_classes: int,
    *,
    anchors: Sequence[float] = PAPER_ANCHORS,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    proposals: ProposalSettings = PAPER_PROPOSALS,
    regions: RegionSettings = PAPER_REGIONS,
) -> TwoStage:
    """Return Faster R-CNN on a network that was cut in two: Fast R-CNN that makes its own proposals.

    Args:
        parts: The network.
        num_classes: Without background.
        anchors: Their sizes in pixels; each in three aspect ratios.
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
        proposals: Settings of the first stage.
        regions: Settings of the second stage.

    Source:
        Ren et al. 2015, sections 3.1 to 3.3.
    """
    model = TwoStage(
        parts.backbone,
        None,
        RegionProposalNetwork([parts.feature], sizes=[tuple(anchors)], settings=proposals),
        parts.region_features(),
        parts.head(num_classes),
        normalize=normalize_for(parts.backbone, mean, std),
        stride=parts.feature.stride,
        settings=regions,
    )
    model.foreign_names = (*parts.head_names, *TwoStage.foreign_names)
    return model


def faster_rcnn_zf(
    num_classes: int,
    *,
    backbone: str = "zfnet",
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> TwoStage:
    """Return Faster R-CNN with ZF, the paper's fast network."""
    return faster_rcnn_one_map(zf_map(backbone, norm=norm, padding=padding), num_classes, mean=mean, std=std)


def faster_rcnn_vgg16(
    num_classes: int,
    *,
    backbone: str = "vgg16",
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> TwoStage:
    """Return Faster R-CNN with VGG-16, the paper's best network; reads torchvision's ``vgg16``."""
    return faster_rcnn_one_map(vgg16_map(backbone, norm=norm, padding=padding), num_classes, mean=mean, std=std)


def faster_rcnn_mobilenet_v2_c4(
    num_classes: int,
    *,
    backbone: str = "mobilenet_v2",
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    pooling: Pooling = "roi_pool",
) -> TwoStage:
    """Return Faster R-CNN on the map of stride 16 of MobileNetV2: ``fast_rcnn_mobilenet_v2`` with its own proposals."""
    return faster_rcnn_one_map(
        mobilenet_v2_map(backbone, norm=norm, padding=padding, pooling=pooling),
        num_classes,
        anchors=SMALL_ANCHORS,
        mean=mean,
        std=std,
        proposals=_SMALL_PROPOSALS,
        regions=SMALL_REGIONS,
    )
