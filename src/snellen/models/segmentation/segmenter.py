"""What all networks that give every pixel a class share: backbone, context, decoder, head, and the way to the pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.models.backbones import Backbone, normalize_for, picked_features
from snellen.models.segmentation.answer import PixelAnswer
from snellen.models.segmentation.decoding import segmentation_maps
from snellen.nn import ConvNormAct, Norm, content_cells, enlarged
from snellen.structures import (
    IGNORE_LABEL,
    ImageBatch,
    MaskTarget,
    SegmentationMap,
    Target,
    TensorRecord,
)

__all__ = ["AUXILIARY_WEIGHT", "Context", "Decoder", "FcnHead", "PixelModel", "SegmentationOutput", "Segmenter"]

AUXILIARY_WEIGHT = 0.4  # of the loss of an auxiliary head; Zhao et al. 2016, section 5.2 and table 2
_INITIAL_DROPOUT = 0.1  # of torchvision's FCNHead
_SHRINKING = 4  # how many times narrower FcnHead's convolution is than what it reads; torchvision's


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentationOutput(TensorRecord):
    """What a segmenter says.

    Attributes:
        logits: Raw scores of every pixel of the canvas.
        sizes: Height and width of the content of each image within the canvas.
        auxiliary: What the auxiliary heads say of every pixel; None in evaluation and for models that have none.
    """

    logits: Float[Tensor, "batch num_classes height width"]
    sizes: Int64[Tensor, "batch 2"]
    auxiliary: Float[Tensor, "batch num_heads num_classes height width"] | None = None


class Context(nn.Module):
    """Tells every cell of the deepest map of what lies around it; the map keeps its size.

    Attributes:
        out_channels: Depth of the result.
    """

    out_channels: int

    def forward(
        self, x: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch out_channels rows columns"]:
        """Return the map; ``cells`` are the rows and columns of each image's own content."""
        raise NotImplementedError


class Decoder(nn.Module):
    """From the deepest map and the finer ones of the backbone to a fine map.

    Attributes:
        depths: Channels of each map that ``forward`` returns.
        strides: Of the same, in pixels.
    """

    depths: tuple[int, ...]
    strides: tuple[int, ...]

    def forward(
        self, x: Float[Tensor, "batch _ _ _"], maps: Mapping[str, Tensor], canvas: tuple[int, int]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """Return the maps on the way up, of ``ceil(canvas / stride)`` cells; the head reads the last.

        Args:
            x: What the context made of the deepest map.
            maps: All of the backbone, by name.
            canvas: Height and width of the images.
        """
        raise NotImplementedError


class FcnHead(nn.Sequential):
    """A 3×3 convolution with norm and ReLU, a quarter as deep as what it reads; dropout; scores.

    Args:
        in_channels: Depth of the map.
        num_classes: Depth of the result.
        norm: Makes the norm layer from the number of channels.

    Source:
        torchvision's ``FCNHead``, the auxiliary head of Zhao et al. 2016, figure 4, https://arxiv.org/abs/1612.01105.
    """

    def __init__(self, in_channels: int, num_classes: int, *, norm: Norm = nn.BatchNorm2d) -> None:
        width = max(1, in_channels // _SHRINKING)
        super().__init__(
            ConvNormAct(in_channels, width, norm=norm),
            nn.Dropout(_INITIAL_DROPOUT),
            nn.Conv2d(width, num_classes, 1),
        )


class PixelModel(nn.Module):
    """Whatever gives every pixel a class: its losses and its predictions.

    Args:
        num_classes: At least 1, below ``IGNORE_LABEL``.
        auxiliary_weight: Of the loss of each auxiliary head.

    Attributes:
        answer: What is minimised.

    Raises:
        ConfigError: If there are too many classes, or the weight is negative.
    """

    target_type = MaskTarget

    def __init__(self, num_classes: int, *, auxiliary_weight: float = AUXILIARY_WEIGHT) -> None:
        super().__init__()
        if not 1 <= num_classes <= IGNORE_LABEL:
            raise ConfigError(
                f"a segmenter takes 1 to {IGNORE_LABEL} classes, because label {IGNORE_LABEL} means 'ignore'; "
                f"got {num_classes}. Merge classes."
            )
        if auxiliary_weight < 0:
            raise ConfigError(f"auxiliary_weight must be 0 or more; got {auxiliary_weight}.")
        self.auxiliary_weight = auxiliary_weight
        self.answer = PixelAnswer(num_classes)

    def learn(self, answer: PixelAnswer) -> None:
        """Let the network minimise something else."""
        self.answer = answer

    def loss(self, output: SegmentationOutput, targets: MaskTarget) -> Mapping[str, Tensor]:
        """Return the losses of the answer by name, and those of the auxiliary heads, weighted, as ``auxiliary1`` …."""
        losses = dict(self.answer.losses(output.logits, targets))
        if output.auxiliary is not None:
            for number, logits in enumerate(output.auxiliary.unbind(dim=1), 1):
                losses[f"auxiliary{number}"] = self.auxiliary_weight * self.answer.loss(logits, targets)
        return losses

    def decode(self, output: SegmentationOutput, sizes: Int64[Tensor, "batch 2"]) -> list[SegmentationMap]:
        """Return the likeliest class of every pixel of the original files, by bilinear probabilities."""
        return segmentation_maps(output.logits, output.sizes, sizes)


class Segmenter(PixelModel):
    """Gives every pixel a class: ``backbone → context → decoder → head``, then bilinearly to the canvas.

    Args:
        backbone: Its last feature is read by the context; the decoder reads others.
        num_classes: At least 1, below ``IGNORE_LABEL``.
        head: From the decoder's last map to scores.
        context: Between the backbone and the decoder; None for none.
        decoder: Brings finer maps in; None for none.
        auxiliary: Heads for training alone, by the feature of the backbone that they read.
        deep_supervision: Whether 1×1 heads for training alone read the decoder's maps before the last one, too.
        auxiliary_weight: Of the loss of each head for training alone.
        align_corners: How scores come to the canvas; see ``snellen.nn.enlarged``.
        foreign_names: Rules for others' weights, see ``load_weights``.
        mean: Of R, G, B where 1 is full scale; None for what the backbone's published weights expect.
        std: Spread of R, G, B where 1 is full scale; None for the same.

    Attributes:
        answer_stride: Pixels from one independent answer to the next.

    Raises:
        ConfigError: If there are too many classes, or an auxiliary head reads a feature that is not there.

    Source:
        Long et al. 2015, https://arxiv.org/abs/1411.4038; deep supervision: Lee et al. 2014,
        https://arxiv.org/abs/1409.5185.
    """

    def __init__(  # noqa: PLR0913 - the parts of a network
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        head: nn.Module,
        context: Context | None = None,
        decoder: Decoder | None = None,
        auxiliary: Mapping[str, nn.Module] | None = None,
        deep_supervision: bool = False,
        auxiliary_weight: float = AUXILIARY_WEIGHT,
        align_corners: bool = False,
        foreign_names: Sequence[tuple[str, str]] = (),
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(num_classes, auxiliary_weight=auxiliary_weight)
        self.normalize = normalize_for(backbone, mean, std)
        self.backbone = backbone
        self.context = context
        self.decoder = decoder
        self.head = head
        self.auxiliary = nn.ModuleDict(auxiliary or {})
        picked_features(backbone, [*self.auxiliary], inner=True)
        before_last = decoder.depths[:-1] if deep_supervision and decoder is not None else ()
        self.supervised = nn.ModuleList(nn.Conv2d(depth, num_classes, 1) for depth in before_last)
        self.align_corners = align_corners
        self.foreign_names = tuple(foreign_names)
        deepest = backbone.features[-1]
        self.answer_stride = deepest.stride if decoder is None else decoder.strides[-1]
        # Corners that are aligned want canvases of a multiple of the stride plus 1.
        self.stride = 1 if align_corners else deepest.stride

    def forward(self, images: ImageBatch, targets: Target | None = None) -> SegmentationOutput:
        """Return the scores of every pixel; ``targets`` are not looked at."""
        del targets
        x = self.normalize(images)
        maps = self.backbone(x, inner=True) if self.backbone.inner else self.backbone(x)
        deepest = self.backbone.features[-1]
        levels = [maps[deepest.name]]
        canvas = (images.pixels.shape[-2], images.pixels.shape[-1])
        if self.context is not None:
            levels = [self.context(levels[0], content_cells(levels[0], images, deepest.stride))]
        if self.decoder is not None:
            levels = self.decoder(levels[0], maps, canvas)
        logits = self._on_canvas(self.head(levels[-1]), canvas, self.answer_stride)
        auxiliary = self._said_between(maps, levels, canvas) if self.training else None
        return SegmentationOutput(logits=logits, sizes=images.sizes, auxiliary=auxiliary)

    def _on_canvas(self, logits: Tensor, canvas: tuple[int, int], stride: int) -> Tensor:
        return enlarged(logits, canvas, stride=stride, align_corners=self.align_corners)

    def _said_between(
        self, maps: Mapping[str, Tensor], levels: Sequence[Tensor], canvas: tuple[int, int]
    ) -> Tensor | None:
        strides = {spec.name: spec.stride for spec in (*self.backbone.inner, *self.backbone.features)}
        said = [self._on_canvas(head(maps[name]), canvas, strides[name]) for name, head in self.auxiliary.items()]
        if self.decoder is not None:
            heads = zip(self.supervised, levels, self.decoder.strides, strict=False)
            said += [self._on_canvas(head(level), canvas, stride) for head, level, stride in heads]
        return torch.stack(said, dim=1) if said else None
