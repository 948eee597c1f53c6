"""The backbones that exist, by name."""

from collections.abc import Callable, Mapping

from snellen.errors import ConfigError, did_you_mean
from snellen.models.backbones.alexnet import alexnet, alexnet_paper, caffenet
from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.bn_inception import bn_inception
from snellen.models.backbones.darknet import darknet19, darknet53, darknet_tiny_v2, darknet_tiny_v3
from snellen.models.backbones.googlenet import googlenet, googlenet_paper
from snellen.models.backbones.inception_v3 import inception_v3
from snellen.models.backbones.lenet import lenet5, lenet5_modern
from snellen.models.backbones.mobilenet_v2 import mobilenet_v2
from snellen.models.backbones.nin import nin, nin_cifar
from snellen.models.backbones.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from snellen.models.backbones.vgg import SsdVgg16, vgg11, vgg13, vgg16, vgg19
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
    "mobilenet_v2": mobilenet_v2,
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
    "ssd_vgg16": SsdVgg16,
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
