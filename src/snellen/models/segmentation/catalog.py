"""The segmenters that exist, by name."""

from functools import partial

from torch import nn

from snellen.models.building import on_backbone
from snellen.models.entry import ModelEntry, answering
from snellen.models.segmentation.answer import PixelAnswer
from snellen.models.segmentation.building import (
    build_deeplab_v3,
    build_deeplab_v3_plus,
    build_dilated_fcn,
    build_lraspp,
    build_pspnet,
    build_segnet,
    build_skip_fcn,
    build_unet,
    build_unet_paper,
)
from snellen.structures import MaskTarget

__all__ = ["SEGMENTERS"]

_SEGMENTER = partial(
    ModelEntry,
    target_type=MaskTarget,
    licence="Apache-2.0",
    answers={MaskTarget: PixelAnswer},
    default_size=(256, 256),
)
_UNET = partial(_SEGMENTER, page="unet", paper="https://arxiv.org/abs/1505.04597")
_FCN = partial(_SEGMENTER, page="fcn", paper="https://arxiv.org/abs/1411.4038")
_SEGNET = partial(_SEGMENTER, page="segnet", paper="https://arxiv.org/abs/1511.00561")
_DEEPLAB_V3 = partial(_SEGMENTER, page="deeplab_v3", paper="https://arxiv.org/abs/1706.05587")
_DEEPLAB_V3_PLUS = partial(_SEGMENTER, page="deeplab_v3_plus", paper="https://arxiv.org/abs/1802.02611")
_LRASPP = partial(_SEGMENTER, page="mobilenet_v3", paper="https://arxiv.org/abs/1905.02244")
_PSPNET = partial(_SEGMENTER, page="pspnet", paper="https://arxiv.org/abs/1612.01105")

# MobileNetV3 as torchvision's segmenters dilate it, and the dilations of their pyramid at a stride of 16.
_MOBILE_V3 = "mobilenet_v3_large"
_TORCHVISION_RATES = (12, 24, 36)

# What stands on MobileNetV2 has narrow contexts: at full width they would cost many times what the encoder does.
_NARROW = 128

SEGMENTERS: tuple[ModelEntry, ...] = tuple(
    answering(row)
    for row in (
        _UNET(
            name="unet_resnet18",
            build=on_backbone(build_unet, "resnet18"),
            summary="U-Net with a ResNet-18 encoder: a good first choice",
        ),
        _UNET(
            name="unet_resnet34",
            build=on_backbone(build_unet, "resnet34"),
            summary="U-Net with a ResNet-34 encoder",
        ),
        _UNET(
            name="unet_resnet50",
            build=on_backbone(build_unet, "resnet50"),
            summary="U-Net with a ResNet-50 encoder",
        ),
        _UNET(
            name="unet_mobilenet_v2",
            build=on_backbone(build_unet, "mobilenet_v2"),
            summary="U-Net with a MobileNetV2 encoder: small and quick on a CPU",
        ),
        _UNET(
            name="unet_paper",
            build=build_unet_paper,
            summary="U-Net as published: unpadded convolutions on mirrored images, no norm",
            default_size=(388, 388),
        ),
        _UNET(
            name="unet_paper_small",
            build=partial(build_unet_paper, width=16),
            summary="U-Net as published, a quarter as wide: for a CPU",
            default_size=(388, 388),
        ),
        _FCN(
            name="fcn_32s_vgg16",
            build=on_backbone(build_skip_fcn, "fcn_vgg16", finest=32),
            summary="FCN-32s: VGG-16 as convolutions, scores enlarged 32 times",
        ),
        _FCN(
            name="fcn_16s_vgg16",
            build=on_backbone(build_skip_fcn, "fcn_vgg16", finest=16),
            summary="FCN-16s: scores of pool4 added",
        ),
        _FCN(
            name="fcn_8s_vgg16",
            build=on_backbone(build_skip_fcn, "fcn_vgg16", finest=8),
            summary="FCN-8s: scores of pool4 and pool3 added",
        ),
        _FCN(
            name="fcn_32s_mobilenet_v2",
            build=on_backbone(build_skip_fcn, "mobilenet_v2", finest=32, norm=nn.BatchNorm2d),
            summary="FCN-32s on MobileNetV2",
        ),
        _FCN(
            name="fcn_16s_mobilenet_v2",
            build=on_backbone(build_skip_fcn, "mobilenet_v2", finest=16, norm=nn.BatchNorm2d),
            summary="FCN-16s on MobileNetV2",
        ),
        _FCN(
            name="fcn_8s_mobilenet_v2",
            build=on_backbone(build_skip_fcn, "mobilenet_v2", finest=8, norm=nn.BatchNorm2d),
            summary="FCN-8s on MobileNetV2: the smallest segmenter here",
        ),
        _FCN(
            name="fcn_resnet50",
            build=on_backbone(build_dilated_fcn, "resnet50"),
            summary="FCN on a dilated ResNet-50, torchvision's",
            default_size=(520, 520),
        ),
        _FCN(
            name="fcn_resnet101",
            build=on_backbone(build_dilated_fcn, "resnet101"),
            summary="FCN on a dilated ResNet-101, torchvision's",
            default_size=(520, 520),
        ),
        _SEGNET(
            name="segnet_vgg16",
            build=on_backbone(build_segnet, "vgg16"),
            summary="SegNet: VGG-16 with batch norm, unpooled by the places of its maxima",
        ),
        _SEGNET(
            name="segnet_mobilenet_v2",
            build=on_backbone(build_segnet, "mobilenet_v2"),
            summary="SegNet's decoder on MobileNetV2",
        ),
        _DEEPLAB_V3(
            name="deeplab_v3_resnet50",
            build=on_backbone(partial(build_deeplab_v3, 8), "resnet50"),
            summary="DeepLabv3 on ResNet-50 at an output stride of 8, torchvision's",
            default_size=(520, 520),
        ),
        _DEEPLAB_V3(
            name="deeplab_v3_resnet101",
            build=on_backbone(partial(build_deeplab_v3, 8), "resnet101"),
            summary="DeepLabv3 on ResNet-101 at an output stride of 8, torchvision's",
            default_size=(520, 520),
        ),
        _DEEPLAB_V3(
            name="deeplab_v3_mobilenet_v2",
            build=on_backbone(partial(build_deeplab_v3, 16), "mobilenet_v2", width=_NARROW, separable=True),
            summary="DeepLabv3 on MobileNetV2 with a narrow, separable pyramid: for a CPU",
        ),
        _DEEPLAB_V3(
            name="deeplab_v3_mobilenet_v3_large",
            build=on_backbone(partial(build_deeplab_v3, 16), _MOBILE_V3, rates=_TORCHVISION_RATES, dilated_entry=True),
            summary="DeepLabv3 on MobileNetV3-Large at an output stride of 16, torchvision's",
            default_size=(520, 520),
        ),
        _LRASPP(
            name="lraspp_mobilenet_v3_large",
            build=on_backbone(build_lraspp, _MOBILE_V3, dilated_entry=True),
            summary="LR-ASPP on MobileNetV3-Large, torchvision's: small and quick",
        ),
        _LRASPP(
            name="lraspp_mobilenet_v3_small",
            build=on_backbone(build_lraspp, "mobilenet_v3_small", dilated_entry=True),
            summary="LR-ASPP on MobileNetV3-Small: the quickest segmenter here",
        ),
        _DEEPLAB_V3_PLUS(
            name="deeplab_v3_plus_resnet50",
            build=on_backbone(build_deeplab_v3_plus, "resnet50"),
            summary="DeepLabv3+ on ResNet-50",
            default_size=(513, 513),
        ),
        _DEEPLAB_V3_PLUS(
            name="deeplab_v3_plus_resnet101",
            build=on_backbone(build_deeplab_v3_plus, "resnet101"),
            summary="DeepLabv3+ on ResNet-101",
            default_size=(513, 513),
        ),
        _DEEPLAB_V3_PLUS(
            name="deeplab_v3_plus_mobilenet_v2",
            build=on_backbone(build_deeplab_v3_plus, "mobilenet_v2", width=_NARROW),
            summary="DeepLabv3+ on MobileNetV2, narrow: for a CPU",
        ),
        _PSPNET(
            name="pspnet_resnet50",
            build=on_backbone(partial(build_pspnet, 8), "resnet50"),
            summary="PSPNet on ResNet-50 at an output stride of 8",
            default_size=(473, 473),
        ),
        _PSPNET(
            name="pspnet_resnet101",
            build=on_backbone(partial(build_pspnet, 8), "resnet101"),
            summary="PSPNet on ResNet-101 at an output stride of 8",
            default_size=(473, 473),
        ),
        _PSPNET(
            name="pspnet_mobilenet_v2",
            build=on_backbone(partial(build_pspnet, 16), "mobilenet_v2", width=_NARROW),
            summary="PSPNet's pooling on MobileNetV2, narrow, at an output stride of 16: for a CPU",
        ),
    )
)
