"""What all models of whole images share, whatever they learn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.errors import ConfigError, InputError
from snellen.models.backbones import Backbone, normalize_for
from snellen.models.classification.answers import Answer
from snellen.models.classification.heads import Head, HeadBuilder, MeanHead
from snellen.nn.content import content_cells
from snellen.structures import ImageBatch, Prediction, Target, TensorRecord

__all__ = ["Auxiliary", "HeadOutput", "Trunk"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadOutput(TensorRecord):
    """What a model of whole images says.

    Attributes:
        logits: Raw numbers of the head.
        auxiliary: Those of the auxiliary heads in the order of the network; None in evaluation and for models that
            have none.
    """

    logits: Float[Tensor, "batch num_outputs"]
    auxiliary: Float[Tensor, "batch num_heads num_outputs"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Auxiliary:
    """A second head, on a map in the middle of the network, that is there for training alone.

    Attributes:
        map_name: One of the backbone's ``features`` or ``inner`` maps.
        head: Makes it.
        weight: Of its loss beside that of the head.
    """

    map_name: str
    head: HeadBuilder
    weight: float


class Trunk(nn.Module):
    """Normalisation, backbone, head and auxiliary heads: from images to numbers for each image.

    What the numbers mean is an ``Answer``: one class, a set of classes, or values.

    Args:
        backbone: Its last feature is read by the head.
        num_outputs: Numbers for each image, at least 1.
        answer: What the numbers mean.
        head: Makes the head from the feature that it reads and the number of outputs.
        auxiliary: Heads for training alone.
        mean: Of R, G, B where 1 is full scale; None for what the backbone's published weights expect.
        std: Spread of R, G, B where 1 is full scale; None for the same.

    Raises:
        ConfigError: If there is no output, or the backbone lacks a map that an auxiliary head stands on.

    Source:
        Auxiliary heads: Szegedy et al. 2014, section 5, https://arxiv.org/abs/1409.4842.
    """

    stride = 1  # any canvas will do: heads read each image's own cells

    def __init__(
        self,
        backbone: Backbone,
        num_outputs: int,
        *,
        answer: Answer,
        head: HeadBuilder = MeanHead,
        auxiliary: Sequence[Auxiliary] = (),
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if num_outputs < 1:
            raise ConfigError(f"a model of images needs at least one output; got {num_outputs}. Name the classes.")
        known = {spec.name: spec for spec in (*backbone.features, *backbone.inner)}
        for each in auxiliary:
            if each.map_name not in known:
                raise ConfigError(
                    f"an auxiliary head stands on the map {each.map_name!r}; the backbone has {', '.join(known)}. "
                    "Leave the head out."
                )
        self.normalize = normalize_for(backbone, mean, std)
        self.backbone = backbone
        self.head = head(backbone.features[-1], num_outputs)
        self.auxiliary = nn.ModuleDict(
            {each.map_name: each.head(known[each.map_name], num_outputs) for each in auxiliary}
        )
        self.auxiliary_weights = tuple(each.weight for each in auxiliary)
        self.foreign_names = self._head_names()
        self.answer = answer

    @property
    def target_type(self) -> type[Target]:
        """What it learns from."""
        return self.answer.target_type

    def learn(self, answer: Answer) -> None:
        """Let heads with random weights learn something else."""
        self.answer = answer
        for part in (self.head, *self.auxiliary.values()):
            if isinstance(part, Head):
                answer.prepare(part)

    def forward(self, images: ImageBatch, targets: Target | None = None) -> HeadOutput:
        """Return the numbers of the heads; ``targets`` are not looked at.

        Raises:
            InputError: If the canvas is too small for a map of the network to have a cell.
        """
        del targets
        least = self.backbone.least_size
        if min(images.pixels.shape[-2:]) < least:
            height, width = images.pixels.shape[-2:]
            raise InputError(
                f"expected images of at least {least} x {least} px for this network; got {height} x {width}. "
                "Choose a larger image size, or padded=true where the model has that setting."
            )
        has_auxiliary = self.training and len(self.auxiliary) > 0
        x = self.normalize(images)
        maps = self.backbone(x, inner=True) if has_auxiliary and self.backbone.inner else self.backbone(x)
        last = self.backbone.features[-1]
        logits = self.head(maps[last.name], content_cells(maps[last.name], images, last.stride))
        return HeadOutput(logits=logits, auxiliary=self._said_between(maps, images) if has_auxiliary else None)

    def loss(self, output: HeadOutput, targets: Any) -> Mapping[str, Tensor]:
        """Return the loss of the head by its name, and those of the auxiliary heads, weighted, as ``auxiliary1`` …."""
        losses = {self.answer.loss_name: self.answer.loss(output.logits, targets)}
        if output.auxiliary is not None:
            heads = zip(output.auxiliary.unbind(dim=1), self.auxiliary_weights, strict=True)
            for number, (logits, weight) in enumerate(heads, 1):
                losses[f"auxiliary{number}"] = weight * self.answer.loss(logits, targets)
        return losses

    def decode(self, output: HeadOutput, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Prediction]:
        """Return one prediction per image; ``sizes`` do not matter here."""
        del sizes
        return self.answer.decode(output.logits)

    def _said_between(self, maps: Mapping[str, Tensor], images: ImageBatch) -> Tensor:
        strides = {spec.name: spec.stride for spec in (*self.backbone.features, *self.backbone.inner)}
        said = [
            head(maps[name], content_cells(maps[name], images, strides[name])) for name, head in self.auxiliary.items()
        ]
        return torch.stack(said, dim=1)

    def _head_names(self) -> tuple[tuple[str, str], ...]:
        parts = {"head.": self.head, **{f"auxiliary.{name}.": part for name, part in self.auxiliary.items()}}
        return tuple(
            (pattern, prefix + replacement)
            for prefix, part in parts.items()
            for pattern, replacement in getattr(part, "foreign_names", ())
        )
