"""Networks from an image to maps at several strides."""

from snellen.models.backbones.backbone import Backbone, freeze_stages, picked_features
from snellen.models.backbones.catalog import BACKBONES, find_backbone
from snellen.models.backbones.mobilenet_v2 import MobileNetV2, mobilenet_v2
from snellen.models.backbones.resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnet_stage,
)

__all__ = [
    "BACKBONES",
    "Backbone",
    "BasicBlock",
    "Bottleneck",
    "MobileNetV2",
    "ResNet",
    "find_backbone",
    "freeze_stages",
    "mobilenet_v2",
    "picked_features",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_stage",
]
