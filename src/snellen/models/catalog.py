"""The models that exist, by name."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from snellen.errors import ConfigError, did_you_mean
from snellen.models.backbones import (
    Backbone,
    mobilenet_v2,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)
from snellen.models.classification import ImageClassifier
from snellen.models.detection.catalog import DETECTORS
from snellen.models.entry import ModelEntry
from snellen.models.segmentation import UNet
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD, Norm, Padding
from snellen.structures import ClassTarget, MaskTarget

__all__ = ["MODELS", "find_model"]


def _backbone(build: Callable[..., Backbone], norm: Norm, padding: Padding) -> Backbone:
    if "padding" in inspect.signature(build).parameters:
        return build(norm=norm, padding=padding)
    if padding != "torch":
        raise ConfigError(
            f"padding must be 'torch' for {build.__name__}; got {padding!r}. Leave it out, or choose mobilenet_v2."
        )
    return build(norm=norm)


def _classifier(
    backbone: Callable[..., Backbone],
    num_classes: int,
    *,
    dropout: float = 0.0,
    label_smoothing: float = 0.0,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> ImageClassifier:
    return ImageClassifier(
        _backbone(backbone, norm, padding),
        num_classes,
        dropout=dropout,
        label_smoothing=label_smoothing,
        mean=mean,
        std=std,
    )


def _unet(
    backbone: Callable[..., Backbone],
    num_classes: int,
    *,
    dice_weight: float = 0.0,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> UNet:
    # The decoder starts from random weights, so frozen statistics would only switch its norms off.
    return UNet(_backbone(backbone, norm, padding), num_classes, dice_weight=dice_weight, mean=mean, std=std)


_RESNET_PAPER = "https://arxiv.org/abs/1512.03385"
_MOBILENET_V2_PAPER = "https://arxiv.org/abs/1801.04381"
_UNET_PAPER = "https://arxiv.org/abs/1505.04597"
_IMAGENET_SIZE = (224, 224)
_CLASSIFIER = partial(ModelEntry, target_type=ClassTarget, licence="Apache-2.0", default_size=_IMAGENET_SIZE)
_SEGMENTER = partial(
    ModelEntry, target_type=MaskTarget, licence="Apache-2.0", paper=_UNET_PAPER, default_size=(256, 256)
)

MODELS: tuple[ModelEntry, ...] = (
    _CLASSIFIER(
        name="resnet18",
        build=partial(_classifier, resnet18),
        summary="ResNet-18 classifier: quick to train, a good first choice",
        paper=_RESNET_PAPER,
    ),
    _CLASSIFIER(
        name="resnet34",
        build=partial(_classifier, resnet34),
        summary="ResNet-34 classifier",
        paper=_RESNET_PAPER,
    ),
    _CLASSIFIER(
        name="resnet50",
        build=partial(_classifier, resnet50),
        summary="ResNet-50 classifier: the usual yardstick",
        paper=_RESNET_PAPER,
    ),
    _CLASSIFIER(
        name="resnet101",
        build=partial(_classifier, resnet101),
        summary="ResNet-101 classifier",
        paper=_RESNET_PAPER,
    ),
    _CLASSIFIER(
        name="resnet152",
        build=partial(_classifier, resnet152),
        summary="ResNet-152 classifier",
        paper=_RESNET_PAPER,
    ),
    _CLASSIFIER(
        name="mobilenet_v2",
        build=partial(_classifier, mobilenet_v2, dropout=0.2),  # as torchvision trains it
        summary="MobileNetV2 classifier: small and quick on a CPU",
        paper=_MOBILENET_V2_PAPER,
    ),
    _SEGMENTER(
        name="unet_resnet18",
        build=partial(_unet, resnet18),
        summary="U-Net with a ResNet-18 encoder: a good first choice",
    ),
    _SEGMENTER(
        name="unet_resnet34",
        build=partial(_unet, resnet34),
        summary="U-Net with a ResNet-34 encoder",
    ),
    _SEGMENTER(
        name="unet_resnet50",
        build=partial(_unet, resnet50),
        summary="U-Net with a ResNet-50 encoder",
    ),
    _SEGMENTER(
        name="unet_mobilenet_v2",
        build=partial(_unet, mobilenet_v2),
        summary="U-Net with a MobileNetV2 encoder: small and quick on a CPU",
    ),
    *DETECTORS,
)


def find_model(name: str) -> ModelEntry:
    """Return the row of a model.

    Raises:
        ConfigError: If there is none of that name.
    """
    rows = {entry.name: entry for entry in MODELS}
    if name not in rows:
        raise ConfigError(f"there is no model {name!r}.{did_you_mean(name, rows)}")
    return rows[name]
