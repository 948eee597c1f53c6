"""Networks of timm with their own pooling and last layer: the model ``timm:NAME``."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import ConfigError, InputError
from snellen.models.backbones import Backbone
from snellen.models.backbones.timm_adapter import (
    frozen_norms,
    timm_colours,
    timm_input,
    timm_network,
)
from snellen.models.classification.answers import ANSWERS
from snellen.models.classification.classifier import ImageClassifier
from snellen.models.classification.heads import Head
from snellen.models.classification.trunk import HeadOutput
from snellen.models.entry import ModelEntry, answering
from snellen.nn import FrozenBatchNorm, Norm, Padding
from snellen.structures import ClassTarget, FeatureSpec, ImageBatch, Target

__all__ = ["TimmClassifier", "timm_entry"]

_FEATURE = "logits"
_WHOLE = 2**20  # px; a stride that no image reaches: the map has one cell
_PATCHES_PX = 32  # networks of patches take multiples of their patch; those of timm are 32 px at most


class _WholeNetwork(Backbone):
    """A network of timm with its last layer, whose logits are a map of one cell."""

    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = ((r"^(?!network\.)", "network."),)

    def __init__(self, name: str, num_outputs: int, *, norm: Norm | None) -> None:
        super().__init__()
        self.name = name
        self.input = timm_input(name)
        network = timm_network(name, num_classes=num_outputs, **self.input.options)
        self.network = frozen_norms(network) if norm is FrozenBatchNorm else network
        self.features = (FeatureSpec(name=_FEATURE, channels=num_outputs, stride=_WHOLE),)
        self.mean, self.std = timm_colours(name)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ 1 1"]]:
        height, width = x.shape[-2:]
        if self.input.is_fixed and (height, width) != self.input.size:
            raise InputError(
                f"{self.name} takes images of {self.input.size[0]} x {self.input.size[1]} px and no others; got "
                f"{height} x {width}. Leave the image size out, or choose a convolutional network."
            )
        if self.input.options and (height % _PATCHES_PX or width % _PATCHES_PX):
            x = functional.pad(x, (0, -width % _PATCHES_PX, 0, -height % _PATCHES_PX))
        logits: Tensor = self.network(x)
        return {_FEATURE: logits[:, :, None, None]}

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        return {_FEATURE: (self.network,)}


class _AsItIs(Head):
    """The logits themselves, which the network has made."""

    def __init__(self, feature: FeatureSpec, num_outputs: int) -> None:
        super().__init__()
        self.channels = (feature.channels, num_outputs)

    def forward(
        self, features: Float[Tensor, "batch channels 1 1"], cells: Tensor
    ) -> Float[Tensor, "batch num_outputs"]:
        del cells
        return features.flatten(1)


class TimmClassifier(ImageClassifier):
    """A network of timm with its own pooling and last layer; reads the state dict of ``timm.create_model(NAME)``.

    In evaluation images of several sizes are looked at one by one, so that padding does not count. In training the
    canvas is taken as it is, which crops fill.

    Args:
        name: ``timm:NAME``.
        num_classes: At least 1.
        norm: ``FrozenBatchNorm`` freezes its batch norms; others leave it as it is.
        label_smoothing: See ``ImageClassifier``.
        mean: Of R, G, B where 1 is full scale; None for what timm's weights were trained with.
        std: Spread of R, G, B where 1 is full scale; None for the same.

    Raises:
        ConfigError: If timm has no such network.
        MissingExtraError: If timm is not installed.

    Source:
        https://github.com/huggingface/pytorch-image-models.
    """

    backbone: _WholeNetwork

    def __init__(
        self,
        name: str,
        num_classes: int,
        *,
        norm: Norm | None = nn.BatchNorm2d,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        network = _WholeNetwork(name, num_classes, norm=norm)
        super().__init__(network, num_classes, head=_AsItIs, mean=mean, std=std)

    def forward(self, images: ImageBatch, targets: Target | None = None) -> HeadOutput:
        """Return the logits; ``targets`` are not looked at.

        Raises:
            InputError: If the network takes images of one size, and these have another.
        """
        sizes = [] if self.training or self.backbone.input.is_fixed else images.sizes.tolist()
        canvas = list(images.pixels.shape[-2:])
        if all(size == canvas for size in sizes):
            return super().forward(images, targets)
        alone = []
        for place, (height, width) in enumerate(sizes):
            one = images.map(lambda tensor, place=place: tensor[place : place + 1])  # type: ignore[misc]
            alone.append(super().forward(_cropped(one, height, width)).logits)
        return HeadOutput(logits=torch.cat(alone))


def _cropped(images: ImageBatch, height: int, width: int) -> ImageBatch:
    return ImageBatch(
        pixels=images.pixels[:, :, :height, :width], sizes=images.sizes, original_sizes=images.original_sizes
    )


def _built(
    name: str,
    num_classes: int,
    *,
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> TimmClassifier:
    if padding != "torch":
        raise ConfigError(
            f"padding must be 'torch' for {name}; got {padding!r}. Leave it out: timm's networks that pad as "
            "TensorFlow does have names of their own, which begin with tf_."
        )
    return TimmClassifier(name, num_classes, norm=norm, mean=mean, std=std)


def timm_entry(name: str) -> ModelEntry:
    """Return the row of ``timm:NAME`` as a classifier.

    Raises:
        ConfigError: If timm has no such network.
        MissingExtraError: If timm is not installed.
    """
    taken = timm_input(name)
    row = ModelEntry(
        name=name,
        build=partial(_built, name),
        target_type=ClassTarget,
        answers=ANSWERS,
        summary=f"{name.partition(':')[2]} of timm, with its own pooling and last layer",
        paper="https://github.com/huggingface/pytorch-image-models",
        licence="Apache-2.0",
        default_size=taken.size,
        resize="square" if taken.is_fixed else "short",
    )
    return answering(row)
