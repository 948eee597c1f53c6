"""MobileNetV2 of any width, which reads the weights of torchvision's network less the classifier."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.chain import chain_maps, chain_stages
from snellen.models.backbones.initial import he_fan_out
from snellen.models.backbones.widths import scaled_channels
from snellen.nn import ConvNormAct, Norm, Padding, Step, begin_as_identity, begin_at_zero, conv_norm, dilated_steps
from snellen.structures import FeatureSpec

__all__ = ["InvertedResidual", "MobileNetV2", "mobilenet_v2"]

# Table 2 of the paper: expansion, channels, blocks, stride of the first block.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM_CHANNELS = 32
_LAST_CHANNELS = 1280
_FEATURE_ENDS = {
    "c1": 2,
    "c2": 4,
    "c3": 7,
    "c4": 14,
    "c5": 19,
}  # one past the block whose output is the feature
_ENDS = {end: name for name, end in _FEATURE_ENDS.items()}

_activation = partial(nn.ReLU6, inplace=True)


class InvertedResidual(nn.Module):
    """1×1 up, depthwise 3×3, linear 1×1 down, and a short cut where the shapes agree.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        step: How the depthwise convolution samples.
        expansion: How many times deeper the depthwise convolution is than the input.
        norm: Makes the norm layer from the number of channels.
        padding: ``"torch"`` or ``"same"``, see ``ConvNormAct``.

    Source:
        Sandler et al. 2018, figure 4 d, https://arxiv.org/abs/1801.04381.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        step: Step,
        expansion: int,
        norm: Norm,
        padding: Padding,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(ConvNormAct(in_channels, hidden, kernel=1, norm=norm, activation=_activation))
        layers += [
            ConvNormAct(
                hidden,
                hidden,
                stride=step.stride,
                groups=hidden,
                dilation=step.entering,
                norm=norm,
                activation=_activation,
                padding=padding,
            ),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            norm(out_channels),
        ]
        self.conv = _Layers(*layers)
        self.has_short_cut = step.stride == 1 and in_channels == out_channels

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the block's output."""
        residual: Tensor = self.conv(x)
        return x + residual if self.has_short_cut else residual

    def silence(self) -> None:
        """Make the residual zero; a block without a short cut keeps it."""
        if self.has_short_cut:
            begin_at_zero(self.conv[-1])


class _Layers(nn.Sequential):
    """Layers of which the last two are a convolution and its norm, which have keys of their own in torchvision."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Sequential's name
        *layers, conv, norm = self
        for layer in layers:
            input = layer(input)  # noqa: A001 - the same
        return conv_norm(conv, norm, input)


class MobileNetV2(Backbone):
    """MobileNetV2 without its classifier.

    Args:
        norm: Makes a norm layer from the number of channels.
        padding: ``"torch"`` for weights trained with torch, ``"same"`` for weights trained with TensorFlow.
        width: By how much the depths are multiplied, 0.35 to 1.4 in the paper; they are rounded to multiples of 8. The
            last convolution never has fewer than 1280 channels.
        output_stride: Greatest stride of the maps, 2, 4, 8, 16 or 32: stages beyond it are dilated. None for 32.
        zero_init: Let every block with a short cut begin as that.

    Attributes:
        features: ``c1`` to ``c5``, with 16, 24, 32, 96 and 1280 channels at width 1: the last block before each step of
            the stride, and for ``c5`` the last convolution.

    Raises:
        ConfigError: If the width is not above 0, or no stage ends at ``output_stride``.

    Source:
        Sandler et al. 2018, table 2 and section 6.1, https://arxiv.org/abs/1801.04381; dilation: section 6.3.
    """

    # torchvision calls the blocks "features", which is the name of the contract here.
    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = ((r"^features\.", "blocks."),)

    def __init__(
        self,
        *,
        norm: Norm = nn.BatchNorm2d,
        padding: Padding = "torch",
        width: float = 1.0,
        output_stride: int | None = None,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        if width <= 0:
            raise ConfigError(f"width must be above 0; got {width}. The paper's networks have 0.35 to 1.4.")
        channels = scaled_channels(_STEM_CHANNELS * width)
        last_channels = scaled_channels(_LAST_CHANNELS * max(1.0, width))
        blocks: list[nn.Module] = [
            ConvNormAct(3, channels, stride=2, norm=norm, activation=_activation, padding=padding)
        ]
        depths, strides = [channels], [2]
        steps = dilated_steps([row[3] for row in _STAGES], start=2, output_stride=output_stride)
        for (expansion, base, num_blocks, _), first in zip(_STAGES, steps, strict=True):
            depth = scaled_channels(base * width)
            for index in range(num_blocks):
                step = first if index == 0 else first.following
                blocks.append(
                    InvertedResidual(depths[-1], depth, step=step, expansion=expansion, norm=norm, padding=padding)
                )
                depths.append(depth)
                strides.append(strides[-1] * step.stride)
        blocks.append(ConvNormAct(depths[-1], last_channels, kernel=1, norm=norm, activation=_activation))
        depths.append(last_channels)
        strides.append(strides[-1])
        self.blocks = nn.Sequential(*blocks)
        self.features = tuple(
            FeatureSpec(name=name, channels=depths[end - 1], stride=strides[end - 1])
            for name, end in _FEATURE_ENDS.items()
        )
        he_fan_out(self)
        if zero_init:
            begin_as_identity(self)
        self.register_load_state_dict_pre_hook(_accept_torchvision_names)  # type: ignore[no-untyped-call]

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … ``c5`` by name."""
        return chain_maps(enumerate(self.blocks, 1), _ENDS, x)

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        return chain_stages(enumerate(self.blocks, 1), _ENDS)


def _accept_torchvision_names(_module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    theirs = prefix + "features."
    for key in [key for key in state if key.startswith(theirs)]:
        state[f"{prefix}blocks.{key.removeprefix(theirs)}"] = state.pop(key)


def mobilenet_v2(
    *,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    width: float = 1.0,
    output_stride: int | None = None,
    zero_init: bool = False,
) -> MobileNetV2:
    """Return MobileNetV2; see there."""
    return MobileNetV2(norm=norm, padding=padding, width=width, output_stride=output_stride, zero_init=zero_init)
