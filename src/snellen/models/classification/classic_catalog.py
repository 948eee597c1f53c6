"""The classifiers of 1998 to 2016, by name, in the order of the papers."""

from functools import partial

from torch import nn

from snellen.models.building import on_backbone
from snellen.models.classification.answers import ANSWERS
from snellen.models.classification.building import mean_classifier
from snellen.models.classification.classic import (
    alexnet_classifier,
    lenet_classifier,
    nin_cifar_classifier,
    nin_classifier,
    vgg_classifier,
)
from snellen.models.classification.inception import (
    googlenet_classifier,
    inception_v3_classifier,
    xception_classifier,
)
from snellen.models.entry import ModelEntry
from snellen.structures import ClassTarget

__all__ = ["CLASSIC_CLASSIFIERS"]

# Without batch norm the usual 1e-3 kills wide networks: Network in Network for CIFAR said the same of every digit after
# 60 steps of 16, and VGG-11 did not learn four images in 120 steps, where 3e-4 took 68. Torchvision's scripts lower the
# rate (SGD's) for AlexNet and VGG without batch norm, too, to a tenth. Layers of 1024 still lose images at 3e-4.
_UNNORMED_LR, _WIDE_UNNORMED_LR = 3e-4, 1e-4
_CLASSIFIER = partial(
    ModelEntry, target_type=ClassTarget, answers=ANSWERS, licence="Apache-2.0", default_size=(224, 224)
)
_LENET = partial(
    _CLASSIFIER,
    page="lenet",
    paper="https://doi.org/10.1109/5.726791",
    default_size=(32, 32),
    least_size=13,
    resize="square",
)
_ALEXNET = partial(_CLASSIFIER, page="alexnet", paper="https://doi.org/10.1145/3065386", scratch_lr=_UNNORMED_LR)
_NIN = partial(_CLASSIFIER, page="nin", paper="https://arxiv.org/abs/1312.4400", scratch_lr=_UNNORMED_LR)
_VGG = partial(_CLASSIFIER, page="vgg", paper="https://arxiv.org/abs/1409.1556")
_GOOGLENET = partial(_CLASSIFIER, page="googlenet", paper="https://arxiv.org/abs/1409.4842")

CLASSIC_CLASSIFIERS: tuple[ModelEntry, ...] = (
    _LENET(
        name="lenet5",
        build=on_backbone(lenet_classifier, "lenet5"),
        summary="LeNet-5 as published in 1998: grey images, learned subsampling, distances from codes",
    ),
    _LENET(
        name="lenet5_modern",
        build=on_backbone(lenet_classifier, "lenet5_modern"),
        summary="LeNet-5 as it is usually rebuilt: ReLU, pools of maxima, a linear output",
    ),
    _ALEXNET(
        name="alexnet_paper",
        least_size=39,
        build=on_backbone(alexnet_classifier, "alexnet_paper"),
        summary="AlexNet as published in 2012: two columns, local response normalisation",
        default_size=(227, 227),
    ),
    _ALEXNET(
        name="caffenet",
        least_size=39,
        build=on_backbone(alexnet_classifier, "caffenet"),
        summary="CaffeNet: AlexNet that pools before it normalises",
        paper="https://arxiv.org/abs/1408.5093",
        default_size=(227, 227),
    ),
    _ALEXNET(
        name="alexnet",
        least_size=63,
        build=on_backbone(alexnet_classifier, "alexnet"),
        summary="AlexNet in one column of 2014, as torchvision has it",
        paper="https://arxiv.org/abs/1404.5997",
    ),
    _ALEXNET(
        name="zfnet",
        least_size=47,
        build=on_backbone(alexnet_classifier, "zfnet_paper"),
        summary="ZFNet: AlexNet with a finer first layer",
        paper="https://arxiv.org/abs/1311.2901",
    ),
    _NIN(
        name="nin_cifar",
        build=on_backbone(nin_cifar_classifier, "nin_cifar"),
        summary="Network in Network for images of 32 px",
        default_size=(32, 32),
        resize="square",
    ),
    _NIN(
        name="nin",
        scratch_lr=_WIDE_UNNORMED_LR,
        least_size=39,
        build=on_backbone(nin_classifier, "nin"),
        summary="Network in Network for ImageNet: a map for each class in the place of fully connected layers",
    ),
    *(
        _VGG(
            name=f"vgg{depth}{'_bn' if norm else ''}",
            build=on_backbone(vgg_classifier, f"vgg{depth}", norm=norm),
            summary=f"VGG-{depth} (configuration {letter}){' with batch norm' if norm else ''}",
            scratch_lr=None if norm else _UNNORMED_LR,
        )
        for depth, letter in ((11, "A"), (13, "B"), (16, "D"), (19, "E"))
        for norm in (None, nn.BatchNorm2d)
    ),
    _GOOGLENET(
        name="googlenet_paper",
        build=on_backbone(googlenet_classifier, "googlenet_paper", norm=None, dropout=0.4),
        summary="GoogLeNet as published in 2014: 5×5 branches, no batch norm, two auxiliary heads",
        scratch_lr=_UNNORMED_LR,
    ),
    _GOOGLENET(
        name="googlenet",
        build=on_backbone(googlenet_classifier, "googlenet"),
        summary="GoogLeNet (Inception v1) with batch norm, as torchvision has it",
    ),
    _CLASSIFIER(
        name="inception_v2",
        build=on_backbone(mean_classifier, "inception_v2"),
        summary="BN-Inception (Inception v2): batch norm, two 3×3 in the place of 5×5",
        paper="https://arxiv.org/abs/1502.03167",
        page="inception",
    ),
    _CLASSIFIER(
        name="inception_v3",
        least_size=75,
        build=on_backbone(inception_v3_classifier, "inception_v3"),
        summary="Inception v3: 1×7 and 7×1 in the place of 7×7, one auxiliary head",
        paper="https://arxiv.org/abs/1512.00567",
        default_size=(299, 299),
        page="inception",
    ),
    _CLASSIFIER(
        name="xception",
        least_size=7,
        build=on_backbone(xception_classifier, "xception"),
        summary="Xception: depthwise-separable convolutions with shortcuts",
        paper="https://arxiv.org/abs/1610.02357",
        default_size=(299, 299),
        page="xception",
    ),
)
