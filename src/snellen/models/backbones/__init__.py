"""Networks from an image to maps at several strides."""

from snellen.models.backbones.alexnet import FiveConvNet, alexnet, alexnet_paper, caffenet
from snellen.models.backbones.backbone import Backbone, freeze_stages, picked_features
from snellen.models.backbones.bn_inception import BnInception, bn_inception
from snellen.models.backbones.catalog import BACKBONES, find_backbone
from snellen.models.backbones.choosing import (
    chosen_backbone,
    dilated_backbone,
    normalize_for,
    own_norm,
    pyramid_backbone,
)
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
from snellen.models.backbones.densenet import DenseNet, densenet
from snellen.models.backbones.efficientnet import EFFICIENTNETS, EfficientNet, efficientnet
from snellen.models.backbones.fc_pair import ALEXNET_POOLED, VGG_POOLED, FcPair, fc_pair_names
from snellen.models.backbones.fcn_vgg import FcnVgg16
from snellen.models.backbones.googlenet import GoogLeNet, googlenet, googlenet_paper
from snellen.models.backbones.inception_v3 import InceptionV3, inception_v3
from snellen.models.backbones.lenet import LeNet, ScaledTanh, lenet5, lenet5_modern, spread_by_fan_in
from snellen.models.backbones.mobilenet_v2 import MobileNetV2, mobilenet_v2
from snellen.models.backbones.mobilenet_v3 import MobileNetV3, mobilenet_v3_large, mobilenet_v3_small
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
from snellen.models.backbones.resnet_v2 import (
    ResNetV2,
    resnetv2_18,
    resnetv2_34,
    resnetv2_50,
    resnetv2_101,
    resnetv2_152,
)
from snellen.models.backbones.resnext import resnext50_32x4d, resnext101_32x8d, resnext101_64x4d
from snellen.models.backbones.senet import (
    seresnet18,
    seresnet34,
    seresnet50,
    seresnet101,
    seresnet152,
    seresnext50_32x4d,
    seresnext101_32x4d,
)
from snellen.models.backbones.shufflenet_v1 import ShuffleNetV1, shufflenet_v1
from snellen.models.backbones.shufflenet_v2 import ShuffleNetV2, shufflenet_v2
from snellen.models.backbones.small_images import (
    CifarResNet,
    WideResNet,
    cifar_plain20,
    cifar_plain56,
    cifar_resnet20,
    cifar_resnet32,
    cifar_resnet44,
    cifar_resnet56,
    cifar_resnet110,
    wrn16_8,
    wrn28_10,
    wrn40_4,
)
from snellen.models.backbones.squeezenet import SqueezeNet, squeezenet1_0, squeezenet1_1
from snellen.models.backbones.vgg import VGG, SsdVgg16, vgg11, vgg13, vgg16, vgg19, vgg_5x5
from snellen.models.backbones.waist_net import WaistNet, cifar_bottleneck, cifar_inverted
from snellen.models.backbones.wide_resnet import wide_resnet50_2, wide_resnet101_2
from snellen.models.backbones.xception import Xception, XceptionBlock, xception
from snellen.models.backbones.yolo_v1_net import fast_yolo_net, yolo_v1_net
from snellen.models.backbones.zfnet import vgg_cnn_m, zfnet, zfnet_paper

__all__ = [
    "ALEXNET_POOLED",
    "BACKBONES",
    "EFFICIENTNETS",
    "LEAKY_SLOPE",
    "VGG",
    "VGG_POOLED",
    "Backbone",
    "BasicBlock",
    "BlockDesign",
    "BnInception",
    "Bottleneck",
    "CifarResNet",
    "Darknet",
    "DarknetConv",
    "DenseNet",
    "EfficientNet",
    "FcPair",
    "FcnVgg16",
    "FiveConvNet",
    "GoogLeNet",
    "InceptionV3",
    "LeNet",
    "MobileNetV2",
    "MobileNetV3",
    "ResNet",
    "ResNetV2",
    "ScaledTanh",
    "ShuffleNetV1",
    "ShuffleNetV2",
    "SqueezeNet",
    "SsdVgg16",
    "WaistNet",
    "WideResNet",
    "Xception",
    "XceptionBlock",
    "alexnet",
    "alexnet_paper",
    "bn_inception",
    "caffenet",
    "chosen_backbone",
    "cifar_bottleneck",
    "cifar_inverted",
    "cifar_plain20",
    "cifar_plain56",
    "cifar_resnet20",
    "cifar_resnet32",
    "cifar_resnet44",
    "cifar_resnet56",
    "cifar_resnet110",
    "cut_behind",
    "darknet19",
    "darknet53",
    "darknet_conv_layers",
    "darknet_tiny_v2",
    "darknet_tiny_v3",
    "densenet",
    "dilated_backbone",
    "efficientnet",
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
    "mobilenet_v3_large",
    "mobilenet_v3_small",
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
    "resnetv2_18",
    "resnetv2_34",
    "resnetv2_50",
    "resnetv2_101",
    "resnetv2_152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "seresnet18",
    "seresnet34",
    "seresnet50",
    "seresnet101",
    "seresnet152",
    "seresnext50_32x4d",
    "seresnext101_32x4d",
    "shufflenet_v1",
    "shufflenet_v2",
    "spread_by_fan_in",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg_5x5",
    "vgg_cnn_m",
    "wide_resnet50_2",
    "wide_resnet101_2",
    "wrn16_8",
    "wrn28_10",
    "wrn40_4",
    "xception",
    "yolo_v1_net",
    "zfnet",
    "zfnet_paper",
]
