"""Builders of GoogLeNet, Inception v3 and Xception as classifiers, for the catalogue."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from snellen.models.backbones import chosen_backbone
from snellen.models.classification.auxiliary import GoogLeNetAuxiliaryHead, InceptionAuxiliaryHead
from snellen.models.classification.building import published_backbone
from snellen.models.classification.classifier import ImageClassifier
from snellen.models.classification.heads import MeanHead
from snellen.models.classification.trunk import Auxiliary
from snellen.nn import Norm, Padding

__all__ = ["googlenet_classifier", "inception_v3_classifier", "xception_classifier"]


def googlenet_classifier(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    dropout: float = 0.2,
    auxiliary_weight: float = 0.3,
    auxiliary_dropout: float = 0.7,
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return GoogLeNet with its two auxiliary heads, which other backbones do not get.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        dropout: See ``MeanHead``.
        auxiliary_weight: Of the loss of each auxiliary head; 0 leaves them out.
        auxiliary_dropout: See ``GoogLeNetAuxiliaryHead``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.
    """
    network = chosen_backbone(backbone, usual=usual, norm=norm, padding=padding)
    is_paper = usual == "googlenet_paper"
    heads = [
        Auxiliary(
            map_name=spec.name,
            head=partial(
                GoogLeNetAuxiliaryHead, number=number, as_published=is_paper, norm=norm, dropout=auxiliary_dropout
            ),
            weight=auxiliary_weight,
        )
        for number, spec in enumerate(network.inner, 1)
        if auxiliary_weight > 0
    ]
    return ImageClassifier(
        network,
        num_classes,
        head=partial(MeanHead, dropout=dropout),
        auxiliary=heads,
        mean=mean,
        std=std,
    )


def inception_v3_classifier(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    padded: bool = False,
    dropout: float = 0.5,
    auxiliary_weight: float = 0.4,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return Inception v3 with its auxiliary head, which stands on ``c4``.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        padded: See ``InceptionV3``.
        dropout: See ``MeanHead``.
        auxiliary_weight: Of the loss of the auxiliary head; 0 leaves it out.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.
    """
    network = published_backbone(usual, backbone, norm, padding, padded=padded)
    stands = auxiliary_weight > 0 and any(spec.name == "c4" for spec in network.features)
    head = Auxiliary(map_name="c4", head=partial(InceptionAuxiliaryHead, norm=norm), weight=auxiliary_weight)
    return ImageClassifier(
        network,
        num_classes,
        head=partial(MeanHead, dropout=dropout),
        auxiliary=[head] if stands else [],
        mean=mean,
        std=std,
    )


def xception_classifier(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    padded: bool = False,
    dropout: float = 0.5,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return Xception with global average pooling and a linear layer.

    Args:
        usual: Name of the backbone that it is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        padded: See ``Xception``.
        dropout: See ``MeanHead``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.
    """
    return ImageClassifier(
        published_backbone(usual, backbone, norm, padding, padded=padded),
        num_classes,
        head=partial(MeanHead, dropout=dropout),
        mean=mean,
        std=std,
    )
