"""The classifiers from ResNet on, by name."""

from collections.abc import Callable
from functools import partial

from snellen.models.backbones import EFFICIENTNETS
from snellen.models.building import on_backbone
from snellen.models.classification.answers import ANSWERS
from snellen.models.classification.building import mean_classifier
from snellen.models.classification.modern import (
    darknet_classifier,
    densenet_classifier,
    efficientnet_classifier,
    mobilenet_v3_classifier,
    squeezenet_classifier,
    wide_classifier,
)
from snellen.models.entry import ModelEntry
from snellen.structures import ClassTarget

__all__ = ["MODERN_CLASSIFIERS"]

_CLASSIFIER = partial(
    ModelEntry, target_type=ClassTarget, answers=ANSWERS, licence="Apache-2.0", default_size=(224, 224)
)
_RESNET = partial(_CLASSIFIER, paper="https://arxiv.org/abs/1512.03385", page="resnet")
_RESNET_V2 = partial(_CLASSIFIER, paper="https://arxiv.org/abs/1603.05027", page="resnet")
_WIDE = partial(_CLASSIFIER, paper="https://arxiv.org/abs/1605.07146", page="wide_resnet")
_RESNEXT = partial(_CLASSIFIER, paper="https://arxiv.org/abs/1611.05431", page="resnext")
_SENET = partial(_CLASSIFIER, paper="https://arxiv.org/abs/1709.01507", page="senet")
_DENSENET = partial(_CLASSIFIER, paper="https://arxiv.org/abs/1608.06993", page="densenet")
_SQUEEZENET = partial(_CLASSIFIER, paper="https://arxiv.org/abs/1602.07360", page="squeezenet")
_MOBILENET_V2 = partial(_CLASSIFIER, paper="https://arxiv.org/abs/1801.04381", page="mobilenet_v2")
_MOBILENET_V3 = partial(_CLASSIFIER, paper="https://arxiv.org/abs/1905.02244", page="mobilenet_v3")
_SHUFFLENET_V1 = partial(_CLASSIFIER, paper="https://arxiv.org/abs/1707.01083", page="shufflenet")
_SHUFFLENET_V2 = partial(_CLASSIFIER, paper="https://arxiv.org/abs/1807.11164", page="shufflenet")
_EFFICIENTNET = partial(_CLASSIFIER, paper="https://arxiv.org/abs/1905.11946", page="efficientnet")

_SMALL = (32, 32)  # px; CIFAR

# Name, summary and source of those that end in a plain mean.
_RESIDUAL: tuple[tuple[str, str, Callable[..., ModelEntry]], ...] = (
    ("plain18", "ResNet-18 without its short cuts", _RESNET),
    ("plain34", "ResNet-34 without its short cuts: learns worse than plain18, which is the point of ResNet", _RESNET),
    ("resnetv2_18", "ResNet-18 of pre-activation blocks", _RESNET_V2),
    ("resnetv2_34", "ResNet-34 of pre-activation blocks", _RESNET_V2),
    ("resnetv2_50", "ResNet-50 of pre-activation blocks", _RESNET_V2),
    ("resnetv2_101", "ResNet-101 of pre-activation blocks", _RESNET_V2),
    ("resnetv2_152", "ResNet-152 of pre-activation blocks", _RESNET_V2),
    ("wide_resnet50_2", "ResNet-50 with 3×3 convolutions twice as deep", _WIDE),
    ("wide_resnet101_2", "ResNet-101 with 3×3 convolutions twice as deep", _WIDE),
    ("resnext50_32x4d", "ResNeXt-50, 32 groups of 4 channels", _RESNEXT),
    ("resnext101_32x8d", "ResNeXt-101, 32 groups of 8 channels", _RESNEXT),
    ("resnext101_64x4d", "ResNeXt-101, 64 groups of 4 channels", _RESNEXT),
    ("seresnet18", "ResNet-18 with squeeze and excitation", _SENET),
    ("seresnet34", "ResNet-34 with squeeze and excitation", _SENET),
    ("seresnet50", "ResNet-50 with squeeze and excitation", _SENET),
    ("seresnet101", "ResNet-101 with squeeze and excitation", _SENET),
    ("seresnet152", "ResNet-152 with squeeze and excitation", _SENET),
    ("seresnext50_32x4d", "ResNeXt-50 with squeeze and excitation", _SENET),
    ("seresnext101_32x4d", "ResNeXt-101 with squeeze and excitation", _SENET),
)

_SHUFFLED: tuple[tuple[str, str, Callable[..., ModelEntry]], ...] = (
    *(
        (f"shufflenet_v1_g{groups}", f"ShuffleNet with {groups} group{'s' if groups > 1 else ''}", _SHUFFLENET_V1)
        for groups in (1, 2, 3, 4, 8)
    ),
    ("shufflenet_v1_g3_x0_25", "ShuffleNet with 3 groups at a quarter of the width", _SHUFFLENET_V1),
    ("shufflenet_v1_g3_x0_5", "ShuffleNet with 3 groups at half the width", _SHUFFLENET_V1),
    ("shufflenet_v1_g3_x1_5", "ShuffleNet with 3 groups at 1.5 times the width", _SHUFFLENET_V1),
    ("shufflenet_v1_g3_x2_0", "ShuffleNet with 3 groups at twice the width", _SHUFFLENET_V1),
    ("shufflenet_v2_x0_5", "ShuffleNet v2 at half the width", _SHUFFLENET_V2),
    ("shufflenet_v2_x1_0", "ShuffleNet v2", _SHUFFLENET_V2),
    ("shufflenet_v2_x1_5", "ShuffleNet v2 at 1.5 times the width", _SHUFFLENET_V2),
    ("shufflenet_v2_x2_0", "ShuffleNet v2 at twice the width", _SHUFFLENET_V2),
)

MODERN_CLASSIFIERS: tuple[ModelEntry, ...] = (
    *(
        row(name=name, build=on_backbone(mean_classifier, name), summary=words)
        for name, words, row in (*_RESIDUAL, *_SHUFFLED)
    ),
    *(
        _RESNET(
            name=f"cifar_resnet{depth}",
            build=on_backbone(mean_classifier, f"cifar_resnet{depth}"),
            default_size=_SMALL,
            resize="square",
            summary=f"ResNet of {depth} layers for images of 32 px",
        )
        for depth in (20, 32, 44, 56, 110)
    ),
    *(
        _RESNET(
            name=f"cifar_plain{depth}",
            build=on_backbone(mean_classifier, f"cifar_plain{depth}"),
            default_size=_SMALL,
            resize="square",
            summary=f"The same of {depth} layers without short cuts",
        )
        for depth in (20, 56)
    ),
    *(
        _MOBILENET_V2(
            name=name,
            build=on_backbone(mean_classifier, name),
            default_size=_SMALL,
            resize="square",
            summary=summary,
        )
        for name, summary in (
            ("cifar_bottleneck", "ResNet's bottlenecks, for images of 32 px"),
            ("cifar_inverted", "MobileNetV2's inverted residuals in the same network with as many parameters"),
        )
    ),
    *(
        _WIDE(
            name=f"wrn{depth}_{width}",
            build=on_backbone(wide_classifier, f"wrn{depth}_{width}"),
            default_size=_SMALL,
            resize="square",
            summary=f"WRN-{depth}-{width}: pre-activation ResNet for images of 32 px, {width} times as deep",
        )
        for depth, width in ((16, 8), (28, 10), (40, 4))
    ),
    *(
        _DENSENET(
            name=f"densenet{layers}",
            build=on_backbone(densenet_classifier, f"densenet{layers}"),
            summary=f"DenseNet-{layers}: every layer reads the maps of all layers before it in its block",
        )
        for layers in (121, 161, 169, 201)
    ),
    *(
        _SQUEEZENET(
            name=f"squeezenet1_{minor}",
            build=on_backbone(squeezenet_classifier, f"squeezenet1_{minor}"),
            summary=f"SqueezeNet 1.{minor}: 1.2 million parameters, {words}",
            least_size=least,
        )
        for minor, words, least in ((0, "as published", 21), (1, "pooled earlier", 17))
    ),
    *(
        _MOBILENET_V2(
            name=f"mobilenet_v2_{percent:03d}",
            build=on_backbone(mean_classifier, f"mobilenet_v2_{percent:03d}", dropout=0.2),
            summary=f"MobileNetV2 at {percent / 100} of its width",
        )
        for percent in (35, 50, 75, 130, 140)
    ),
    *(
        _MOBILENET_V3(
            name=f"mobilenet_v3_{size}",
            build=on_backbone(mobilenet_v3_classifier, f"mobilenet_v3_{size}", hidden=hidden),
            summary=f"MobileNetV3-{size.capitalize()}: MobileNetV2's blocks with gates, as a search arranged them",
        )
        for size, hidden in (("large", 1280), ("small", 1024))
    ),
    *(
        _EFFICIENTNET(
            name=f"efficientnet_b{variant}",
            build=on_backbone(efficientnet_classifier, f"efficientnet_b{variant}", dropout=scaling.dropout),
            summary=f"EfficientNet-B{variant}, published at {scaling.size} px",
            default_size=(scaling.size, scaling.size),
        )
        for variant, scaling in EFFICIENTNETS.items()
    ),
    _CLASSIFIER(
        name="darknet19",
        build=on_backbone(darknet_classifier, "darknet19"),
        summary="Darknet-19, the classifier that YOLOv2 began as",
        paper="https://arxiv.org/abs/1612.08242",
        page="darknet",
    ),
    _CLASSIFIER(
        name="darknet53",
        build=on_backbone(darknet_classifier, "darknet53"),
        summary="Darknet-53, the classifier that YOLOv3 began as",
        paper="https://arxiv.org/abs/1804.02767",
        default_size=(256, 256),
        page="darknet",
    ),
)
