"""Builders of LeNet, AlexNet, VGG and Network in Network as classifiers, for the catalogue."""

from collections.abc import Sequence
from functools import partial

from snellen.models.backbones import ALEXNET_POOLED, VGG_POOLED, chosen_backbone
from snellen.models.classification.building import published_backbone
from snellen.models.classification.classifier import ImageClassifier
from snellen.models.classification.heads import ClassMapHead, FcHead
from snellen.models.classification.lenet_head import LeNetHead
from snellen.nn import Norm, Padding

__all__ = ["alexnet_classifier", "lenet_classifier", "nin_cifar_classifier", "nin_classifier", "vgg_classifier"]


def lenet_classifier(
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    padded: bool = False,
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return LeNet-5 with C5, F6 and its output.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        padded: See ``LeNet``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.
    """
    return ImageClassifier(
        published_backbone(usual, backbone, norm, padding, padded=padded),
        num_classes,
        head=partial(LeNetHead, modern=usual == "lenet5_modern"),
        mean=mean,
        std=std,
    )


def alexnet_classifier(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    padded: bool = False,
    fc_width: int = 4096,
    dropout: float = 0.5,
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return AlexNet or one of its relatives with three fully connected layers.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        padded: See ``alexnet``.
        fc_width: Of the two hidden layers.
        dropout: See ``FcHead``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.
    """
    # The paper starts the hidden layers with a bias of 1 (Krizhevsky et al. 2012, section 5).
    initial_bias = 1.0 if usual == "alexnet_paper" else 0.0
    return ImageClassifier(
        published_backbone(usual, backbone, norm, padding, padded=padded),
        num_classes,
        head=partial(
            FcHead,
            pooled=ALEXNET_POOLED,
            family="alexnet",
            width=fc_width,
            dropout=dropout,
            initial_bias=initial_bias,
        ),
        mean=mean,
        std=std,
    )


def vgg_classifier(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    fc_width: int = 4096,
    dropout: float = 0.5,
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return VGG with three fully connected layers.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        fc_width: Of the two hidden layers.
        dropout: See ``FcHead``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.
    """
    return ImageClassifier(
        chosen_backbone(backbone, usual=usual, norm=norm, padding=padding),
        num_classes,
        head=partial(FcHead, pooled=VGG_POOLED, family="vgg", width=fc_width, dropout=dropout),
        mean=mean,
        std=std,
    )


def nin_classifier(  # noqa: PLR0913 - the options of a run
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
    """Return Network in Network for ImageNet, which ends in a map for each class.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        padded: See ``nin``.
        dropout: See ``nin``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.
    """
    return ImageClassifier(
        published_backbone(usual, backbone, norm, padding, padded=padded, dropout=dropout),
        num_classes,
        head=ClassMapHead,
        mean=mean,
        std=std,
    )


def nin_cifar_classifier(
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    dropout: float = 0.5,
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return Network in Network for CIFAR, which ends in a map for each class.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        dropout: See ``nin_cifar``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.
    """
    return ImageClassifier(
        published_backbone(usual, backbone, norm, padding, dropout=dropout),
        num_classes,
        head=ClassMapHead,
        mean=mean,
        std=std,
    )
