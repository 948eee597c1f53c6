"""The detectors that exist, by name."""

from functools import partial

from snellen.models.detection.faster_rcnn import (
    faster_rcnn_mobilenet_v2_fpn,
    faster_rcnn_r18_fpn,
    faster_rcnn_r50_c4,
    faster_rcnn_r50_fpn,
)
from snellen.models.entry import ModelEntry
from snellen.structures import BoxTarget

__all__ = ["DETECTORS"]

_FASTER_RCNN_PAPER = "https://arxiv.org/abs/1506.01497"
_FPN_PAPER = "https://arxiv.org/abs/1612.03144"
_COCO_SIZE = (800, 1344)  # shorter side 800, longer at most 1333, as in the papers; in multiples of 32
_DETECTOR = partial(ModelEntry, target_type=BoxTarget, licence="Apache-2.0")

DETECTORS: tuple[ModelEntry, ...] = (
    _DETECTOR(
        name="faster_rcnn_r18_fpn",
        build=faster_rcnn_r18_fpn,
        summary="Faster R-CNN with ResNet-18 and a feature pyramid",
        paper=_FPN_PAPER,
        page="faster_rcnn",
        default_size=_COCO_SIZE,
    ),
    _DETECTOR(
        name="faster_rcnn_r50_fpn",
        build=faster_rcnn_r50_fpn,
        summary="Faster R-CNN with ResNet-50 and a feature pyramid: the usual yardstick",
        paper=_FPN_PAPER,
        page="faster_rcnn",
        default_size=_COCO_SIZE,
    ),
    _DETECTOR(
        name="faster_rcnn_r50_c4",
        build=faster_rcnn_r50_c4,
        summary="Faster R-CNN on one map of ResNet-50, with RoIPool: as in the first paper",
        paper=_FASTER_RCNN_PAPER,
        page="faster_rcnn",
        default_size=_COCO_SIZE,
    ),
    _DETECTOR(
        name="faster_rcnn_mobilenet_v2_fpn",
        build=faster_rcnn_mobilenet_v2_fpn,
        summary="Faster R-CNN with MobileNetV2 and a feature pyramid: small and quick on a CPU",
        paper=_FPN_PAPER,
        page="faster_rcnn",
        default_size=(320, 320),  # of torchvision's mobile detectors
    ),
)
