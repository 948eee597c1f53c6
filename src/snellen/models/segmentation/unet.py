"""U-Net on any backbone."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.models.backbones import Backbone
from snellen.models.segmentation.segmenter import AUXILIARY_WEIGHT, Decoder, Segmenter
from snellen.nn import ConvNormAct, Enlargement, Norm, Upsampling

__all__ = ["DECODER_CHANNELS", "UNetDecoder", "unet"]

DECODER_CHANNELS = (256, 128, 64, 32, 16)  # of segmentation_models_pytorch, deepest first

# The parts of segmentation_models_pytorch.Unet.
_SMP_NAMES: tuple[tuple[str, str], ...] = (
    (r"^encoder\.", "backbone."),
    (r"^segmentation_head\.0\.", "head."),
)


class UNetDecoder(Decoder):
    """Steps of twice the size, each with the encoder's map of that size beside.

    Args:
        backbone: Every feature of it is used.
        channels: Depth of each step, deepest first. A step doubles the size, so that their number is the logarithm of
            the backbone's coarsest stride; where the backbone has no map of a size, none is put beside. None for the
            first of ``DECODER_CHANNELS``, the last of them repeated where there are more steps.
        upsampling: How a step enlarges; see ``Enlargement``.
        kernel: Of a transposed convolution; see ``Enlargement``.
        norm: Makes the norm layers from the number of channels.

    Raises:
        ConfigError: If another number of steps is needed, or a step cannot enlarge so.

    Source:
        Ronneberger et al. 2015, section 2, https://arxiv.org/abs/1505.04597.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        channels: Sequence[int] | None = None,
        upsampling: Upsampling = "nearest",
        kernel: int = 2,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        deepest = backbone.features[-1]
        num_steps = deepest.stride.bit_length() - 1
        self.depths = _usual_channels(num_steps) if channels is None else tuple(channels)
        if len(self.depths) != num_steps:
            raise ConfigError(
                f"decoder_channels needs one number for each doubling from stride {deepest.stride} to the "
                f"pixel ({num_steps}); got {self.depths}. Add or drop numbers."
            )
        by_stride = {spec.stride: spec for spec in backbone.features}
        self.strides = tuple(deepest.stride >> step for step in range(1, num_steps + 1))  # that each step comes to
        self.beside = [by_stride[stride].name if stride in by_stride else None for stride in self.strides]
        skips = [by_stride[stride].channels if stride in by_stride else 0 for stride in self.strides]
        inputs = [deepest.channels, *self.depths[:-1]]
        self.blocks = nn.ModuleList(
            _Step(below, skip, out, Enlargement(below, upsampling, kernel=kernel), norm)
            for below, skip, out in zip(inputs, skips, self.depths, strict=True)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, mode="fan_in", nonlinearity="relu")

    def forward(
        self, x: Float[Tensor, "batch _ _ _"], maps: Mapping[str, Tensor], canvas: tuple[int, int]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """Return the map of every step; see ``Decoder``."""
        levels = [x]
        for block, name, stride in zip(self.blocks, self.beside, self.strides, strict=True):
            size = (-(-canvas[0] // stride), -(-canvas[1] // stride))
            levels.append(block(levels[-1], None if name is None else maps[name], size))
        return levels[1:]


class _Step(nn.Module):
    """One step up: enlarge, put the encoder's map beside, convolve twice."""

    def __init__(self, below: int, skip: int, out_channels: int, enlargement: Enlargement, norm: Norm) -> None:
        super().__init__()
        self.enlargement = enlargement
        self.conv1 = ConvNormAct(below + skip, out_channels, norm=norm)
        self.conv2 = ConvNormAct(out_channels, out_channels, norm=norm)

    def forward(self, x: Tensor, beside: Tensor | None, size: tuple[int, int]) -> Tensor:
        x = self.enlargement(x, size)
        if beside is not None:
            x = torch.cat((x, beside), dim=1)
        return self.conv2(self.conv1(x))  # type: ignore[no-any-return]  # nn.Module's call is untyped


def unet(  # noqa: PLR0913 - the parts of a network
    backbone: Backbone,
    num_classes: int,
    *,
    decoder_channels: Sequence[int] | None = None,
    upsampling: Upsampling = "nearest",
    up_kernel: int = 2,
    norm: Norm = nn.BatchNorm2d,
    deep_supervision: bool = False,
    auxiliary_weight: float = AUXILIARY_WEIGHT,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return U-Net on any backbone.

    Args:
        backbone: Encoder.
        num_classes: See ``Segmenter``.
        decoder_channels: See ``UNetDecoder``.
        upsampling: See ``UNetDecoder``.
        up_kernel: See ``UNetDecoder``.
        norm: Of the decoder.
        deep_supervision: See ``Segmenter``.
        auxiliary_weight: See ``Segmenter``.
        mean: See ``Segmenter``.
        std: See ``Segmenter``.

    Raises:
        ConfigError: As ``UNetDecoder``.

    Source:
        Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597. Differs: the encoder is a backbone, the
        convolutions are padded, a step up is nearest neighbour and two 3×3 convolutions with batch norm; so
        does ``segmentation_models_pytorch.Unet``, whose weights fit. ``unet_paper`` is the published one.
    """
    decoder = UNetDecoder(backbone, channels=decoder_channels, upsampling=upsampling, kernel=up_kernel, norm=norm)
    head = nn.Conv2d(
        decoder.depths[-1] if decoder.depths else backbone.features[-1].channels, num_classes, 3, padding=1
    )
    nn.init.xavier_uniform_(head.weight)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
    return Segmenter(
        backbone, num_classes, decoder=decoder if decoder.depths else None, head=head,
        deep_supervision=deep_supervision, auxiliary_weight=auxiliary_weight, foreign_names=_SMP_NAMES,
        mean=mean, std=std,
    )  # fmt: skip


def _usual_channels(num_steps: int) -> tuple[int, ...]:
    more = max(0, num_steps - len(DECODER_CHANNELS))
    return (*DECODER_CHANNELS, *[DECODER_CHANNELS[-1]] * more)[:num_steps]
