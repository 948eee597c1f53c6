"""Builders of classifiers that end in a mean, for the catalogue."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn

from snellen.errors import ConfigError
from snellen.models.backbones import Backbone, chosen_backbone, find_backbone
from snellen.models.classification.classifier import ImageClassifier
from snellen.models.classification.heads import GlobalPooling, MeanHead
from snellen.nn import Norm, Padding, ResidualBlock, begin_as_identity

__all__ = ["begin_with_short_cuts", "mean_classifier", "published_backbone"]


def published_backbone(usual: str, backbone: str, norm: Norm | None, padding: Padding, **options: Any) -> Backbone:
    """Return the usual backbone with options of its own, or another one.

    Args:
        usual: See ``chosen_backbone``.
        backbone: Name of the one that is wanted.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        options: Keywords of the usual one's builder.
    """
    if backbone == usual and padding == "torch":
        return find_backbone(usual)(norm=norm, **options)
    return chosen_backbone(backbone, usual=usual, norm=norm, padding=padding)


def begin_with_short_cuts(name: str, backbone: Backbone) -> None:
    """Let every residual block of a backbone with random weights begin as its short cut.

    Args:
        name: Of the backbone.
        backbone: Changed in place.

    Raises:
        ConfigError: If it has no residual blocks of ours.
    """
    if not any(isinstance(module, ResidualBlock) for module in backbone.modules()):
        raise ConfigError(
            f"zero_init must be false for {name}, which has no residual blocks that can begin as their short cuts. "
            "Leave it out."
        )
    begin_as_identity(backbone)


def mean_classifier(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    dropout: float = 0.0,
    pooling: GlobalPooling = "mean",
    zero_init: bool = False,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageClassifier:
    """Return a backbone with global pooling and a linear layer.

    Args:
        usual: Name of the backbone that the classifier is published with.
        num_classes: At least 1.
        backbone: Name of the one that is used.
        dropout: See ``MeanHead``.
        pooling: See ``MeanHead``.
        zero_init: Let every residual block begin as its short cut; see ``begin_as_identity``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        mean: See ``ImageClassifier``.
        std: See ``ImageClassifier``.

    Raises:
        ConfigError: If zeros are asked for and the backbone has no residual blocks of ours.
    """
    network = chosen_backbone(backbone, usual=usual, norm=norm, padding=padding)
    if zero_init:
        begin_with_short_cuts(backbone, network)
    return ImageClassifier(
        network,
        num_classes,
        head=partial(MeanHead, dropout=dropout, pooling=pooling),
        mean=mean,
        std=std,
    )
