"""Networks from an image to maps at several strides."""

from snellen.models.backbones.alexnet import FiveConvNet, alexnet, alexnet_paper, caffenet
from snellen.models.backbones.backbone import Backbone, freeze_stages, picked_features
from snellen.models.backbones.bn_inception import BnInception, bn_inception
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
from snellen.models.backbones.googlenet import GoogLeNet, googlenet, googlenet_paper
from snellen.models.backbones.inception_v3 import InceptionV3, inception_v3
from snellen.models.backbones.lenet import LeNet, ScaledTanh, lenet5, lenet5_modern, spread_by_fan_in
from snellen.models.backbones.mobilenet_v2 import MobileNetV2, mobilenet_v2
from snellen.models.backbones.nin import mlpconv, nin, nin_cifar
from snellen.models.backbones.resnet import (
    ResNet,
    plain18,
    plain34,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)
from snellen.models.backbones.resnet_blocks import BasicBlock, BlockDesign, Bottleneck, resnet_stage
from snellen.models.backbones.vgg import VGG, SsdVgg16, vgg11, vgg13, vgg16, vgg19
from snellen.models.backbones.xception import Xception, XceptionBlock, xception
from snellen.models.backbones.yolo_v1_net import fast_yolo_net, yolo_v1_net
from snellen.models.backbones.zfnet import vgg_cnn_m, zfnet, zfnet_paper

__all__ = [
    "ALEXNET_POOLED",
    "BACKBONES",
    "LEAKY_SLOPE",
    "VGG",
    "VGG_POOLED",
    "Backbone",
    "BasicBlock",
    "BlockDesign",
    "BnInception",
    "Bottleneck",
    "Darknet",
    "DarknetConv",
    "FcPair",
    "FiveConvNet",
    "GoogLeNet",
    "InceptionV3",
    "LeNet",
    "MobileNetV2",
    "ResNet",
    "ScaledTanh",
    "SsdVgg16",
    "Xception",
    "XceptionBlock",
    "alexnet",
    "alexnet_paper",
    "bn_inception",
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
    "googlenet",
    "googlenet_paper",
    "inception_v3",
    "lenet5",
    "lenet5_modern",
    "mlpconv",
    "mobilenet_v2",
    "nin",
    "nin_cifar",
    "normalize_for",
    "own_norm",
    "picked_features",
    "plain18",
    "plain34",
    "pyramid_backbone",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_stage",
    "spread_by_fan_in",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg_cnn_m",
    "xception",
    "yolo_v1_net",
    "zfnet",
    "zfnet_paper",
]
