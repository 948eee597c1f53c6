"""Networks from an image to maps at several strides."""

from snellen.models.backbones.alexnet import FiveConvNet, alexnet, caffenet
from snellen.models.backbones.backbone import Backbone, freeze_stages, picked_features
from snellen.models.backbones.catalog import BACKBONES, find_backbone
from snellen.models.backbones.choosing import chosen_backbone, normalize_for, own_norm, pyramid_backbone
from snellen.models.backbones.cutting import cut_behind
from snellen.models.backbones.darknet import (
    LEAKY_SLOPE,
    Darknet,
    DarknetConv,
    darknet19,
    darknet53,
    darknet_conv_layers,
    darknet_tiny_v2,
    darknet_tiny_v3,
)
from snellen.models.backbones.fc_pair import ALEXNET_POOLED, VGG_POOLED, FcPair, fc_pair_names
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
from snellen.models.backbones.vgg import VGG, SsdVgg16, vgg11, vgg13, vgg16, vgg19
from snellen.models.backbones.yolo_v1_net import fast_yolo_net, yolo_v1_net
from snellen.models.backbones.zfnet import vgg_cnn_m, zfnet

__all__ = [
    "ALEXNET_POOLED",
    "BACKBONES",
    "LEAKY_SLOPE",
    "VGG",
    "VGG_POOLED",
    "Backbone",
    "BasicBlock",
    "Bottleneck",
    "Darknet",
    "DarknetConv",
    "FcPair",
    "FiveConvNet",
    "MobileNetV2",
    "ResNet",
    "SsdVgg16",
    "alexnet",
    "caffenet",
    "chosen_backbone",
    "cut_behind",
    "darknet19",
    "darknet53",
    "darknet_conv_layers",
    "darknet_tiny_v2",
    "darknet_tiny_v3",
    "fast_yolo_net",
    "fc_pair_names",
    "find_backbone",
    "freeze_stages",
    "mobilenet_v2",
    "normalize_for",
    "own_norm",
    "picked_features",
    "pyramid_backbone",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_stage",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg_cnn_m",
    "yolo_v1_net",
    "zfnet",
]
