"""MobileNetV3, large and small, which reads the weights of torchvision's networks less the classifier."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.chain import chain_maps, chain_stages
from snellen.models.backbones.initial import he_fan_out
from snellen.models.backbones.widths import scaled_channels
from snellen.nn import (
    ConvNormAct,
    Norm,
    Padding,
    SqueezeExcitation,
    Step,
    begin_as_identity,
    begin_at_zero,
    dilated_steps,
    with_eps,
)
from snellen.structures import FeatureSpec

__all__ = ["MobileNetV3", "MobileV3Block", "mobilenet_v3_large", "mobilenet_v3_small"]

_STEM_CHANNELS = 16
_LAST_FACTOR = 6  # times the depth of the last block: 960 of 160 and 576 of 96 in tables 1 and 2
_SQUEEZE = 4  # the SE layer squeezes to a quarter of the expanded depth; section 5.3
_GATED, _PLAIN = True, False  # the column SE of tables 1 and 2
_EPS = 1e-3  # of the norms, whose weights torchvision trained as TensorFlow's are

_ReLU = partial(nn.ReLU, inplace=True)
_Hardswish = partial(nn.Hardswish, inplace=True)


class _Row(NamedTuple):
    """A block of tables 1 and 2 of the paper."""

    kernel: int
    expanded: int
    channels: int
    has_gate: bool
    activation: Callable[[], nn.Module]
    stride: int


_LARGE = (
    _Row(3, 16, 16, _PLAIN, _ReLU, 1),
    _Row(3, 64, 24, _PLAIN, _ReLU, 2),
    _Row(3, 72, 24, _PLAIN, _ReLU, 1),
    _Row(5, 72, 40, _GATED, _ReLU, 2),
    _Row(5, 120, 40, _GATED, _ReLU, 1),
    _Row(5, 120, 40, _GATED, _ReLU, 1),
    _Row(3, 240, 80, _PLAIN, _Hardswish, 2),
    _Row(3, 200, 80, _PLAIN, _Hardswish, 1),
    _Row(3, 184, 80, _PLAIN, _Hardswish, 1),
    _Row(3, 184, 80, _PLAIN, _Hardswish, 1),
    _Row(3, 480, 112, _GATED, _Hardswish, 1),
    _Row(3, 672, 112, _GATED, _Hardswish, 1),
    _Row(5, 672, 160, _GATED, _Hardswish, 2),
    _Row(5, 960, 160, _GATED, _Hardswish, 1),
    _Row(5, 960, 160, _GATED, _Hardswish, 1),
)
_SMALL = (
    _Row(3, 16, 16, _GATED, _ReLU, 2),
    _Row(3, 72, 24, _PLAIN, _ReLU, 2),
    _Row(3, 88, 24, _PLAIN, _ReLU, 1),
    _Row(5, 96, 40, _GATED, _Hardswish, 2),
    _Row(5, 240, 40, _GATED, _Hardswish, 1),
    _Row(5, 240, 40, _GATED, _Hardswish, 1),
    _Row(5, 120, 48, _GATED, _Hardswish, 1),
    _Row(5, 144, 48, _GATED, _Hardswish, 1),
    _Row(5, 288, 96, _GATED, _Hardswish, 2),
    _Row(5, 576, 96, _GATED, _Hardswish, 1),
    _Row(5, 576, 96, _GATED, _Hardswish, 1),
)
# One past the block (the stem is the first) whose output is the feature; and the first block at stride 8.
_LARGE_ENDS = {"c1": 2, "c2": 4, "c3": 7, "c4": 13, "c5": 17}
_SMALL_ENDS = {"c1": 1, "c2": 2, "c3": 4, "c4": 9, "c5": 13}
_LARGE_INNER = {"c3a": 5}
_SMALL_INNER = {"c3a": 3}


class MobileV3Block(nn.Module):
    """1×1 up, depthwise convolution, squeeze and excitation, linear 1×1 down, and a short cut where the shapes agree.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        expanded: Depth of the depthwise convolution.
        kernel: Side of the depthwise kernel in pixels.
        step: How the depthwise convolution samples.
        has_gate: Whether the channels of the depthwise convolution are weighed.
        activation: Makes the activations behind the first two convolutions.
        norm: Makes the norm layer from the number of channels.
        padding: ``"torch"`` or ``"same"``, see ``ConvNormAct``.

    Source:
        Howard et al. 2019, figure 4, sections 5.2 and 5.3 (the gate is a hard sigmoid), https://arxiv.org/abs/1905.02244.
    """

    def __init__(  # noqa: PLR0913 - the properties of a block
        self,
        in_channels: int,
        out_channels: int,
        *,
        expanded: int,
        kernel: int,
        step: Step,
        has_gate: bool,
        activation: Callable[[], nn.Module],
        norm: Norm,
        padding: Padding,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if expanded != in_channels:
            layers.append(ConvNormAct(in_channels, expanded, kernel=1, norm=norm, activation=activation))
        layers.append(
            ConvNormAct(
                expanded,
                expanded,
                kernel=kernel,
                stride=step.stride,
                groups=expanded,
                dilation=step.entering,
                norm=norm,
                activation=activation,
                padding=padding,
            )
        )
        if has_gate:
            layers.append(SqueezeExcitation(expanded, scaled_channels(expanded // _SQUEEZE), gate=nn.Hardsigmoid))
        layers.append(ConvNormAct(expanded, out_channels, kernel=1, norm=norm, activation=None))
        self.block = nn.Sequential(*layers)
        self.has_short_cut = step.stride == 1 and in_channels == out_channels

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the block's output."""
        residual: Tensor = self.block(x)
        return x + residual if self.has_short_cut else residual

    def silence(self) -> None:
        """Make the residual zero; a block without a short cut keeps it."""
        if self.has_short_cut:
            begin_at_zero(self.block[-1][1])  # type: ignore[index]  # of a ConvNormAct


class MobileNetV3(Backbone):
    """MobileNetV3 without its classifier.

    Args:
        rows: Of its blocks.
        ends: One past the block, the stem being the first, whose output is a feature, by the feature's name.
        inner: The same for the map that light segmenters read.
        norm: Makes a norm layer from the number of channels.
        padding: ``"torch"`` for weights trained with torch, ``"same"`` for weights trained with TensorFlow.
        width: By how much the depths are multiplied, 0.35 to 1.25 in the paper; they are rounded to multiples of 8.
        output_stride: Greatest stride of the maps, 2, 4, 8, 16 or 32: stages beyond it are dilated. None for 32.
        zero_init: Let every block with a short cut begin as that.

    Attributes:
        features: ``c1`` to ``c5``: the last block before each step of the stride, and for ``c5`` the last convolution.
        inner: ``c3a``, the first block at stride 8, on which torchvision's auxiliary head and LR-ASPP stand.

    Raises:
        ConfigError: If the width is not above 0, or no stage ends at ``output_stride``.

    Source:
        Howard et al. 2019, tables 1 and 2, https://arxiv.org/abs/1905.02244. Differs: norms forget as they are made to
        (torch's 0.1 of each batch) and not 0.01 of it, which wants thousands of steps.
    """

    # torchvision calls the blocks "features", which is the name of the contract here, and nothing within segmenters.
    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = ((r"^(?:features\.)?(\d+)\.", r"blocks.\1."),)

    def __init__(
        self,
        rows: Sequence[_Row],
        ends: Mapping[str, int],
        inner: Mapping[str, int],
        *,
        norm: Norm = nn.BatchNorm2d,
        padding: Padding = "torch",
        width: float = 1.0,
        output_stride: int | None = None,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        if width <= 0:
            raise ConfigError(f"width must be above 0; got {width}. The paper's networks have 0.35 to 1.25.")
        norm = with_eps(norm, _EPS)
        depths, strides = [scaled_channels(_STEM_CHANNELS * width)], [2]
        blocks: list[nn.Module] = [
            ConvNormAct(3, depths[0], stride=2, norm=norm, activation=_Hardswish, padding=padding)
        ]
        starts = [number for number, row in enumerate(rows) if row.stride > 1]
        steps = dilated_steps([rows[start].stride for start in starts], start=2, output_stride=output_stride)
        entering, step = dict(zip(starts, steps, strict=True)), Step()
        for number, row in enumerate(rows):
            step = entering.get(number, step.following)
            channels = scaled_channels(row.channels * width)
            blocks.append(
                MobileV3Block(
                    depths[-1],
                    channels,
                    expanded=scaled_channels(row.expanded * width),
                    kernel=row.kernel,
                    step=step,
                    has_gate=row.has_gate,
                    activation=row.activation,
                    norm=norm,
                    padding=padding,
                )
            )
            depths.append(channels)
            strides.append(strides[-1] * step.stride)
        depths.append(_LAST_FACTOR * depths[-1])
        strides.append(strides[-1])
        blocks.append(ConvNormAct(depths[-2], depths[-1], kernel=1, norm=norm, activation=_Hardswish))
        self.blocks = nn.Sequential(*blocks)
        self.ends, self.inner_ends = ({end: name for name, end in some.items()} for some in (ends, inner))
        self.features, self.inner = (
            tuple(
                FeatureSpec(name=name, channels=depths[end - 1], stride=strides[end - 1]) for name, end in some.items()
            )
            for some in (ends, inner)
        )
        he_fan_out(self)
        if zero_init:
            begin_as_identity(self)

    def forward(
        self, x: Float[Tensor, "batch 3 height width"], *, inner: bool = False
    ) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … ``c5`` by name, and those of ``inner``, if they are wanted."""
        wanted = {**self.ends, **self.inner_ends} if inner else self.ends
        return chain_maps(enumerate(self.blocks, 1), wanted, x)

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        return chain_stages(enumerate(self.blocks, 1), self.ends)


def mobilenet_v3_large(
    *,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    width: float = 1.0,
    output_stride: int | None = None,
    zero_init: bool = False,
) -> MobileNetV3:
    """Return MobileNetV3-Large; see ``MobileNetV3``. Its maps have 16, 24, 40, 112 and 960 channels."""
    return MobileNetV3(
        _LARGE, _LARGE_ENDS, _LARGE_INNER, norm=norm, padding=padding, width=width, output_stride=output_stride,
        zero_init=zero_init,
    )  # fmt: skip


def mobilenet_v3_small(
    *,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    width: float = 1.0,
    output_stride: int | None = None,
    zero_init: bool = False,
) -> MobileNetV3:
    """Return MobileNetV3-Small; see ``MobileNetV3``. Its maps have 16, 16, 24, 48 and 576 channels."""
    return MobileNetV3(
        _SMALL, _SMALL_ENDS, _SMALL_INNER, norm=norm, padding=padding, width=width, output_stride=output_stride,
        zero_init=zero_init,
    )  # fmt: skip
