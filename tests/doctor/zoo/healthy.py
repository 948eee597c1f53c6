"""Networks of torchvision, timm and segmentation-models-pytorch, as they are initialised by their authors."""

from collections.abc import Callable
from functools import partial

import segmentation_models_pytorch as smp
import timm
from torch import nn
from torchvision import models

__all__ = ["FAST", "HEALTHY", "SEGMENTATION"]

_OF_TORCHVISION = (
    "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "densenet121", "efficientnet_b0", "efficientnet_v2_s",
    "mobilenet_v2", "mobilenet_v3_large", "vgg11_bn", "vgg16_bn", "vgg16", "vgg19", "alexnet", "squeezenet1_1",
    "shufflenet_v2_x1_0", "regnet_y_400mf", "mnasnet0_5", "swin_t", "swin_v2_t", "convnext_tiny",
)  # fmt: skip
_OF_TIMM = (
    "mobilenetv1_100", "xception41", "convmixer_768_32", "nfnet_l0", "nf_resnet50", "cspdarknet53", "darknet53",
    "repvgg_a0", "hrnet_w18_small", "dla34", "ghostnet_100", "poolformer_s12", "mobilevit_xs", "edgenext_xx_small",
    "pvt_v2_b0", "seresnet18", "ecaresnet26t", "selecsls42", "lcnet_050", "tinynet_e", "resnetv2_50x1_bit",
    "inception_v3",
)  # fmt: skip
_OF_ONE_SIZE = (
    "vit_tiny_patch16_224", "deit_tiny_patch16_224", "mixer_s16_224", "resmlp_12_224", "beit_base_patch16_224",
    "levit_128s",
)  # fmt: skip
_OF_SMP = ("Unet", "UnetPlusPlus", "FPN", "DeepLabV3Plus", "PSPNet", "Linknet", "MAnet", "UPerNet")

HEALTHY: dict[str, Callable[[], nn.Module]] = {
    **{
        f"torchvision {name}": partial(models.get_model, name, weights=None, num_classes=10) for name in _OF_TORCHVISION
    },
    "torchvision vit_b_16": partial(models.vit_b_16, image_size=64, num_classes=10),
    **{f"timm {name}": partial(timm.create_model, name, num_classes=10) for name in _OF_TIMM},
    **{f"timm {name}": partial(timm.create_model, name, num_classes=10, img_size=64) for name in _OF_ONE_SIZE},
}
SEGMENTATION: dict[str, Callable[[], nn.Module]] = {
    f"smp {name}": partial(getattr(smp, name), "resnet18", encoder_weights=None, classes=10) for name in _OF_SMP
}
# One of each family, the smallest.
FAST = (
    "torchvision resnet18", "torchvision mobilenet_v3_large", "torchvision shufflenet_v2_x1_0", "timm lcnet_050",
    "timm tinynet_e", "timm vit_tiny_patch16_224", "timm edgenext_xx_small",
)  # fmt: skip
