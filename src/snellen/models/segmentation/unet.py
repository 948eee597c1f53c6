"""U-Net on any backbone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.losses import dice_loss, pixel_cross_entropy
from snellen.models.backbones import Backbone
from snellen.models.segmentation.decoding import segmentation_map
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD, ConvNormAct, Norm, Normalize
from snellen.structures import (
    IGNORE_LABEL,
    FeatureSpec,
    ImageBatch,
    MaskTarget,
    SegmentationMap,
    Target,
    TensorRecord,
)

__all__ = ["DECODER_CHANNELS", "SegmentationOutput", "UNet"]

DECODER_CHANNELS = (256, 128, 64, 32, 16)  # of segmentation_models_pytorch, deepest first


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentationOutput(TensorRecord):
    """What a segmenter says.

    Attributes:
        logits: Raw scores of every pixel of the canvas.
        sizes: Height and width of the content of each image within the canvas.
    """

    logits: Float[Tensor, "batch num_classes height width"]
    sizes: Int64[Tensor, "batch 2"]


class UNet(nn.Module):
    """Gives every pixel a class: down a backbone, up again with the maps of the way down beside.

    Args:
        backbone: Every feature of it is used.
        num_classes: At least 1, below ``IGNORE_LABEL``.
        decoder_channels: Depth of each step up, deepest first. A step doubles the size, so that their number is the
            logarithm of the backbone's coarsest stride; where the backbone has no map of a size, none is put beside.
            None for the first of ``DECODER_CHANNELS``, the last of them repeated where there are more steps.
        norm: Makes the decoder's norm layers from the number of channels.
        dice_weight: Weight of the dice loss beside the cross-entropy; 0 leaves it out.
        mean: Of R, G, B as the backbone's weights were trained, 0..1.
        std: Spread of R, G, B as the backbone's weights were trained, 0..1.

    Raises:
        ConfigError: If there are too many classes, or another number of decoder steps is needed.

    Source:
        Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597. Differs: the encoder is a backbone, the
        convolutions are padded, a step up is nearest neighbour and two 3×3 convolutions with batch norm; so
        does ``segmentation_models_pytorch.Unet``, whose weights fit.
    """

    target_type = MaskTarget
    # The parts of segmentation_models_pytorch.Unet.
    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"^encoder\.", "backbone."),
        (r"^segmentation_head\.0\.", "head."),
    )

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        decoder_channels: Sequence[int] | None = None,
        norm: Norm = nn.BatchNorm2d,
        dice_weight: float = 0.0,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        channels = _step_channels(backbone) if decoder_channels is None else tuple(decoder_channels)
        _check(num_classes, channels, backbone)
        self.dice_weight = dice_weight
        self.stride = backbone.features[-1].stride
        self.normalize = Normalize(mean, std)
        self.backbone = backbone
        self.decoder = _Decoder(backbone.features, channels, norm)
        self.head = nn.Conv2d(channels[-1], num_classes, 3, padding=1)
        nn.init.xavier_uniform_(self.head.weight)
        _zero_bias(self.head)

    def forward(self, images: ImageBatch, targets: Target | None = None) -> SegmentationOutput:
        """Return the logits of every pixel; ``targets`` are not looked at."""
        del targets
        maps = self.backbone(self.normalize(images))
        decoded = self.decoder(maps, images.pixels.shape[-2:])
        return SegmentationOutput(logits=self.head(decoded), sizes=images.sizes)

    def loss(self, output: SegmentationOutput, targets: MaskTarget) -> Mapping[str, Tensor]:
        """Return ``cross_entropy`` (mean over the pixels that count, nats) and, if weighted, ``dice``.

        Without a pixel that counts both are 0.
        """
        valid = targets.labels != IGNORE_LABEL
        pixels = pixel_cross_entropy(output.logits, targets.labels)
        losses = {"cross_entropy": pixels.sum() / valid.sum().clamp(min=1)}
        if self.dice_weight > 0:
            losses["dice"] = self.dice_weight * dice_loss(output.logits, targets.labels, valid).mean()
        return losses

    def decode(self, output: SegmentationOutput, sizes: Int64[Tensor, "batch 2"]) -> list[SegmentationMap]:
        """Return the likeliest class of every pixel of the original files, by bilinear probabilities."""
        contents: list[tuple[int, int]] = [(h, w) for h, w in output.sizes.tolist()]
        originals: list[tuple[int, int]] = [(h, w) for h, w in sizes.tolist()]
        return [
            segmentation_map(logits[:, : content[0], : content[1]], original)
            for logits, content, original in zip(output.logits, contents, originals, strict=True)
        ]


def _check(num_classes: int, decoder_channels: Sequence[int], backbone: Backbone) -> None:
    if not 1 <= num_classes <= IGNORE_LABEL:
        raise ConfigError(
            f"a segmenter takes 1 to {IGNORE_LABEL} classes, because label {IGNORE_LABEL} means 'ignore'; "
            f"got {num_classes}. Merge classes."
        )
    num_steps = _num_steps(backbone)
    if len(decoder_channels) != num_steps:
        raise ConfigError(
            f"decoder_channels needs one number for each doubling from stride {backbone.features[-1].stride} to the "
            f"pixel ({num_steps}); got {tuple(decoder_channels)}. Add or drop numbers."
        )


def _num_steps(backbone: Backbone) -> int:
    return backbone.features[-1].stride.bit_length() - 1


def _step_channels(backbone: Backbone) -> tuple[int, ...]:
    more = max(0, _num_steps(backbone) - len(DECODER_CHANNELS))
    return (*DECODER_CHANNELS, *[DECODER_CHANNELS[-1]] * more)[: _num_steps(backbone)]


class _Step(nn.Module):
    """One step up: enlarge, put the encoder's map beside, convolve twice."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(in_channels, out_channels, norm=norm)
        self.conv2 = ConvNormAct(out_channels, out_channels, norm=norm)

    def forward(self, x: Tensor, beside: Tensor | None, size: Sequence[int]) -> Tensor:
        x = functional.interpolate(x, size=list(size), mode="nearest")
        if beside is not None:
            x = torch.cat((x, beside), dim=1)
        return self.conv2(self.conv1(x))  # type: ignore[no-any-return]  # nn.Module's call is untyped


class _Decoder(nn.Module):
    def __init__(self, features: Sequence[FeatureSpec], channels: Sequence[int], norm: Norm) -> None:
        super().__init__()
        by_stride = {spec.stride: spec for spec in features}
        deepest = features[-1]
        self.deepest = deepest.name
        self.strides = [deepest.stride >> step for step in range(1, len(channels) + 1)]  # that each step comes to
        self.beside = [by_stride[stride].name if stride in by_stride else None for stride in self.strides]
        depths = [by_stride[stride].channels if stride in by_stride else 0 for stride in self.strides]
        inputs = [deepest.channels, *channels[:-1]]
        self.blocks = nn.ModuleList(
            _Step(below + skip, out, norm) for below, skip, out in zip(inputs, depths, channels, strict=True)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, maps: Mapping[str, Tensor], size: Sequence[int]) -> Tensor:
        x = maps[self.deepest]
        for block, name, stride in zip(self.blocks, self.beside, self.strides, strict=True):
            x = block(x, None if name is None else maps[name], [-(-side // stride) for side in size])
        return x


def _zero_bias(layer: nn.Conv2d) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
