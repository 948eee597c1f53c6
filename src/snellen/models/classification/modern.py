"""Builders of the classifiers of 2016 to 2019 that have options of their own, for the catalogue."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from torch import nn

from snellen.models.backbones import chosen_backbone, find_backbone
from snellen.models.classification.building import begin_with_short_cuts, published_backbone
from snellen.models.classification.classifier import ImageClassifier
from snellen.models.classification.darknet_head import DarknetHead
from snellen.models.classification.heads import ClassMapHead, MeanHead
from snellen.nn import Norm, Padding
from snellen.structures import FeatureSpec

__all__ = [
    "darknet_classifier",
    "densenet_classifier",
    "efficientnet_classifier",
    "squeezenet_classifier",
    "wide_classifier",
]

_SQUEEZENET_SPREAD = 0.01  # of the weights of the last convolution; torchvision and the authors' prototxt


def wide_classifier(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    dropout: float = 0.0,
    zero_init: bool = False,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return a wide residual network with global average pooling and a linear layer.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        dropout: Within the blocks; see ``WideResNet``.
        zero_init: See ``mean_classifier``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.

    Raises:
        ConfigError: If zeros are asked for and the backbone has no residual blocks of ours.
    """
    network = published_backbone(usual, backbone, norm, padding, dropout=dropout)
    if zero_init:
        begin_with_short_cuts(backbone, network)
    return ImageClassifier(network, num_classes, mean=mean, std=std)


def densenet_classifier(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    recompute: bool = False,
    dropout: float = 0.0,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return a DenseNet with global average pooling and a linear layer.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        recompute: Spend time for memory in training; see ``DenseLayer``.
        dropout: See ``MeanHead``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.
    """
    return ImageClassifier(
        published_backbone(usual, backbone, norm, padding, recompute=recompute),
        num_classes,
        head=partial(MeanHead, dropout=dropout),
        mean=mean,
        std=std,
    )


def efficientnet_classifier(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
    zero_init: bool = False,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return an EfficientNet with global average pooling and a linear layer.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        dropout: See ``MeanHead``; the larger the network, the more.
        stochastic_depth: See ``EfficientNet``.
        zero_init: See ``mean_classifier``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.

    Raises:
        ConfigError: If zeros are asked for and the backbone has no residual blocks of ours.
    """
    if backbone == usual:
        network = find_backbone(usual)(norm=norm, padding=padding, stochastic_depth=stochastic_depth)
    else:
        network = chosen_backbone(backbone, usual=usual, norm=norm, padding=padding)
    if zero_init:
        begin_with_short_cuts(backbone, network)
    return ImageClassifier(
        network,
        num_classes,
        head=partial(MeanHead, dropout=dropout),
        mean=mean,
        std=std,
    )


def squeezenet_classifier(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    padded: bool = False,
    dropout: float = 0.5,
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return SqueezeNet, which ends in a map for each class.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        padded: See ``SqueezeNet``.
        dropout: See ``ClassMapHead``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.
    """
    return ImageClassifier(
        published_backbone(usual, backbone, norm, padding, padded=padded),
        num_classes,
        head=partial(_SqueezeHead, dropout=dropout),
        mean=mean,
        std=std,
    )


class _SqueezeHead(ClassMapHead):
    """The last convolution of SqueezeNet, a ReLU and the means."""

    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = ((r"^classifier\.1\.", "class_maps."),)  # type: ignore[misc]

    def __init__(self, feature: FeatureSpec, num_outputs: int, *, dropout: float) -> None:
        super().__init__(feature, num_outputs, dropout=dropout)
        nn.init.normal_(self.class_maps.weight, std=_SQUEEZENET_SPREAD)
        if self.class_maps.bias is not None:
            nn.init.zeros_(self.class_maps.bias)


def darknet_classifier(
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    dropout: float = 0.0,
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return Darknet-19 or Darknet-53, which read darknet's ``.weights``.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        dropout: See ``DarknetHead``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.
    """
    return ImageClassifier(
        chosen_backbone(backbone, usual=usual, norm=norm, padding=padding),
        num_classes,
        head=partial(DarknetHead, dropout=dropout),
        mean=mean,
        std=std,
    )
