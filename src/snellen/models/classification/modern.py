"""Builders of the classifiers of 2016 to 2019 that have options of their own, for the catalogue."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.models.backbones import chosen_backbone, find_backbone
from snellen.models.classification.building import begin_with_short_cuts, published_backbone
from snellen.models.classification.classifier import ImageClassifier
from snellen.models.classification.darknet_head import DarknetHead
from snellen.models.classification.heads import ClassMapHead, Head, MeanHead
from snellen.nn import Norm, Padding, content_mean
from snellen.structures import FeatureSpec

__all__ = [
    "darknet_classifier",
    "densenet_classifier",
    "efficientnet_classifier",
    "mobilenet_v3_classifier",
    "squeezenet_classifier",
    "wide_classifier",
]

_SQUEEZENET_SPREAD = 0.01  # of the weights of the last convolution; torchvision and the authors' prototxt
_MOBILE_SPREAD = 0.01  # of the weights of MobileNetV3's linear layers; torchvision's


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


def mobilenet_v3_classifier(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    hidden: int,
    dropout: float = 0.2,
    zero_init: bool = False,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return MobileNetV3, whose last wide layer stands behind the mean, where there is one cell to compute.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        hidden: Width of that layer.
        dropout: Share of its values that training sets to zero.
        zero_init: See ``mean_classifier``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.

    Raises:
        ConfigError: If zeros are asked for and the backbone has no residual blocks of ours.
    """
    network = published_backbone(usual, backbone, norm, padding)
    if zero_init:
        begin_with_short_cuts(backbone, network)
    return ImageClassifier(
        network, num_classes, head=partial(_MobileV3Head, hidden=hidden, dropout=dropout), mean=mean, std=std
    )


class _MobileV3Head(Head):
    """The mean, a linear layer with a hard swish, dropout, and a linear layer; Howard et al. 2019, figure 5."""

    foreign_names = ((r"^classifier\.0\.", "hidden."), (r"^classifier\.3\.", "linear."))

    def __init__(self, feature: FeatureSpec, num_outputs: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(feature.channels, hidden)
        self.activation = nn.Hardswish(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden, num_outputs)
        for layer in (self.hidden, self.linear):
            nn.init.normal_(layer.weight, std=_MOBILE_SPREAD)
            nn.init.zeros_(layer.bias)

    def forward(
        self, features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch num_outputs"]:
        """Return what the two layers make of the mean over each image's own cells."""
        hidden = self.activation(self.hidden(content_mean(features, cells)))
        result: Tensor = self.linear(self.dropout(hidden))
        return result

    @property
    def bias(self) -> Tensor:
        """What the last layer adds."""
        return self.linear.bias


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
