"""The backbones that exist, by name."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from snellen.errors import ConfigError, did_you_mean
from snellen.models.backbones.alexnet import alexnet, alexnet_paper, caffenet
from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.bn_inception import bn_inception
from snellen.models.backbones.darknet import darknet19, darknet53, darknet_tiny_v2, darknet_tiny_v3
from snellen.models.backbones.densenet import densenet
from snellen.models.backbones.efficientnet import efficientnet
from snellen.models.backbones.fcn_vgg import FcnVgg16
from snellen.models.backbones.googlenet import googlenet, googlenet_paper
from snellen.models.backbones.inception_v3 import inception_v3
from snellen.models.backbones.lenet import lenet5, lenet5_modern
from snellen.models.backbones.mobilenet_v2 import mobilenet_v2
from snellen.models.backbones.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from snellen.models.backbones.nin import nin, nin_cifar
from snellen.models.backbones.resnet import plain18, plain34, resnet18, resnet34, resnet50, resnet101, resnet152
from snellen.models.backbones.resnet_v2 import resnetv2_18, resnetv2_34, resnetv2_50, resnetv2_101, resnetv2_152
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
from snellen.models.backbones.shufflenet_v1 import shufflenet_v1
from snellen.models.backbones.shufflenet_v2 import shufflenet_v2
from snellen.models.backbones.small_images import (
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
from snellen.models.backbones.squeezenet import squeezenet1_0, squeezenet1_1
from snellen.models.backbones.vgg import SsdVgg16, vgg11, vgg13, vgg16, vgg19, vgg_5x5
from snellen.models.backbones.waist_net import cifar_bottleneck, cifar_inverted
from snellen.models.backbones.wide_resnet import wide_resnet50_2, wide_resnet101_2
from snellen.models.backbones.xception import xception
from snellen.models.backbones.yolo_v1_net import fast_yolo_net, yolo_v1_net
from snellen.models.backbones.zfnet import vgg_cnn_m, zfnet, zfnet_paper

__all__ = ["BACKBONES", "find_backbone"]

BACKBONES: Mapping[str, Callable[..., Backbone]] = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "resnet152": resnet152,
    "plain18": plain18,
    "plain34": plain34,
    "resnetv2_18": resnetv2_18,
    "resnetv2_34": resnetv2_34,
    "resnetv2_50": resnetv2_50,
    "resnetv2_101": resnetv2_101,
    "resnetv2_152": resnetv2_152,
    "wide_resnet50_2": wide_resnet50_2,
    "wide_resnet101_2": wide_resnet101_2,
    "resnext50_32x4d": resnext50_32x4d,
    "resnext101_32x8d": resnext101_32x8d,
    "resnext101_64x4d": resnext101_64x4d,
    "seresnet18": seresnet18,
    "seresnet34": seresnet34,
    "seresnet50": seresnet50,
    "seresnet101": seresnet101,
    "seresnet152": seresnet152,
    "seresnext50_32x4d": seresnext50_32x4d,
    "seresnext101_32x4d": seresnext101_32x4d,
    "cifar_resnet20": cifar_resnet20,
    "cifar_resnet32": cifar_resnet32,
    "cifar_resnet44": cifar_resnet44,
    "cifar_resnet56": cifar_resnet56,
    "cifar_resnet110": cifar_resnet110,
    "cifar_plain20": cifar_plain20,
    "cifar_plain56": cifar_plain56,
    "cifar_bottleneck": cifar_bottleneck,
    "cifar_inverted": cifar_inverted,
    "wrn16_8": wrn16_8,
    "wrn28_10": wrn28_10,
    "wrn40_4": wrn40_4,
    "densenet121": partial(densenet, 121),
    "densenet161": partial(densenet, 161),
    "densenet169": partial(densenet, 169),
    "densenet201": partial(densenet, 201),
    "squeezenet1_0": squeezenet1_0,
    "squeezenet1_1": squeezenet1_1,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v2_035": partial(mobilenet_v2, width=0.35),
    "mobilenet_v2_050": partial(mobilenet_v2, width=0.5),
    "mobilenet_v2_075": partial(mobilenet_v2, width=0.75),
    "mobilenet_v2_130": partial(mobilenet_v2, width=1.3),
    "mobilenet_v2_140": partial(mobilenet_v2, width=1.4),
    "mobilenet_v3_large": mobilenet_v3_large,
    "mobilenet_v3_small": mobilenet_v3_small,
    "shufflenet_v1_g1": partial(shufflenet_v1, groups=1),
    "shufflenet_v1_g2": partial(shufflenet_v1, groups=2),
    "shufflenet_v1_g3": partial(shufflenet_v1, groups=3),
    "shufflenet_v1_g4": partial(shufflenet_v1, groups=4),
    "shufflenet_v1_g8": partial(shufflenet_v1, groups=8),
    "shufflenet_v1_g3_x0_25": partial(shufflenet_v1, groups=3, width=0.25),
    "shufflenet_v1_g3_x0_5": partial(shufflenet_v1, groups=3, width=0.5),
    "shufflenet_v1_g3_x1_5": partial(shufflenet_v1, groups=3, width=1.5),
    "shufflenet_v1_g3_x2_0": partial(shufflenet_v1, groups=3, width=2.0),
    "shufflenet_v2_x0_5": partial(shufflenet_v2, width=0.5),
    "shufflenet_v2_x1_0": partial(shufflenet_v2, width=1.0),
    "shufflenet_v2_x1_5": partial(shufflenet_v2, width=1.5),
    "shufflenet_v2_x2_0": partial(shufflenet_v2, width=2.0),
    "efficientnet_b0": partial(efficientnet, 0),
    "efficientnet_b1": partial(efficientnet, 1),
    "efficientnet_b2": partial(efficientnet, 2),
    "efficientnet_b3": partial(efficientnet, 3),
    "efficientnet_b4": partial(efficientnet, 4),
    "efficientnet_b5": partial(efficientnet, 5),
    "efficientnet_b6": partial(efficientnet, 6),
    "efficientnet_b7": partial(efficientnet, 7),
    "lenet5": lenet5,
    "lenet5_modern": lenet5_modern,
    "alexnet": alexnet,
    "alexnet_paper": alexnet_paper,
    "caffenet": caffenet,
    "zfnet": zfnet,
    "zfnet_paper": zfnet_paper,
    "vgg_cnn_m": vgg_cnn_m,
    "vgg11": vgg11,
    "vgg13": vgg13,
    "vgg16": vgg16,
    "vgg19": vgg19,
    "vgg_5x5": vgg_5x5,
    "vgg_5x5_bn": partial(vgg_5x5, norm=nn.BatchNorm2d),
    "ssd_vgg16": SsdVgg16,
    "fcn_vgg16": FcnVgg16,
    "nin": nin,
    "nin_cifar": nin_cifar,
    "googlenet": googlenet,
    "googlenet_paper": googlenet_paper,
    "inception_v2": bn_inception,
    "inception_v3": inception_v3,
    "xception": xception,
    "darknet19": darknet19,
    "darknet53": darknet53,
    "darknet_tiny_v2": darknet_tiny_v2,
    "darknet_tiny_v3": darknet_tiny_v3,
    "yolo_v1_net": yolo_v1_net,
    "fast_yolo_net": fast_yolo_net,
}


def find_backbone(name: str) -> Callable[..., Backbone]:
    """Return the builder of a backbone.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in BACKBONES:
        raise ConfigError(f"there is no backbone {name!r}.{did_you_mean(name, BACKBONES)}")
    return BACKBONES[name]
