"""Detectors, as compositions of parts."""

from snellen.models.detection.dense import Dense, DenseHead, DenseOutput
from snellen.models.detection.faster_rcnn import (
    faster_rcnn_fpn,
    faster_rcnn_mobilenet_v2_fpn,
    faster_rcnn_r18_fpn,
    faster_rcnn_r50_c4,
    faster_rcnn_r50_fpn,
)
from snellen.models.detection.regions import PyramidAlign, RegionLogits, SingleMapPool, StageHead, TwoMlpHead
from snellen.models.detection.rpn import ProposalOutput, ProposalSettings, RegionProposalNetwork
from snellen.models.detection.selection import Selected, SelectionSettings, as_detections, best_detections, select
from snellen.models.detection.two_stage import RegionSettings, RegionTargets, TwoStage, TwoStageOutput

__all__ = [
    "Dense",
    "DenseHead",
    "DenseOutput",
    "ProposalOutput",
    "ProposalSettings",
    "PyramidAlign",
    "RegionLogits",
    "RegionProposalNetwork",
    "RegionSettings",
    "RegionTargets",
    "Selected",
    "SelectionSettings",
    "SingleMapPool",
    "StageHead",
    "TwoMlpHead",
    "TwoStage",
    "TwoStageOutput",
    "as_detections",
    "best_detections",
    "faster_rcnn_fpn",
    "faster_rcnn_mobilenet_v2_fpn",
    "faster_rcnn_r18_fpn",
    "faster_rcnn_r50_c4",
    "faster_rcnn_r50_fpn",
    "select",
]
