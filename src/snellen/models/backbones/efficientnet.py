"""EfficientNet B0 to B7, which read the weights of torchvision's networks less the classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from snellen.errors import ConfigError
from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.chain import chain_maps, chain_stages
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

__all__ = ["EFFICIENTNETS", "EfficientNet", "MobileBlock", "Scaling", "efficientnet"]

_STEM_CHANNELS = 32
_LAST_FACTOR = 4  # times the depth of the last block; 320 and 1280 in table 1


class _Row(NamedTuple):
    """A stage of table 1 of the paper."""

    expansion: int
    kernel: int
    stride: int
    channels: int
    num_blocks: int


_STAGES = (
    _Row(1, 3, 1, 16, 1),
    _Row(6, 3, 2, 24, 2),
    _Row(6, 5, 2, 40, 2),
    _Row(6, 3, 2, 80, 3),
    _Row(6, 5, 1, 112, 3),
    _Row(6, 5, 2, 192, 4),
    _Row(6, 3, 1, 320, 1),
)
_FEATURE_ENDS = {"c1": 2, "c2": 3, "c3": 4, "c4": 6, "c5": 9}  # one past the stage (the stem is the first)
_ENDS = {end: name for name, end in _FEATURE_ENDS.items()}
_SQUEEZE = 4  # the SE layer squeezes to a quarter of the block's input
_STOCHASTIC_DEPTH = 0.2  # share of the last block's residuals that is dropped; section 5.2 of the paper
_LARGE_EPS = 1e-3  # of the norms of B5 to B7, whose weights torchvision took over from TensorFlow

_activation = partial(nn.SiLU, inplace=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How a member of the family is scaled.

    Attributes:
        width: Factor on the depths.
        depth: Factor on the numbers of blocks.
        size: Side of the images in pixels that it was published with.
        dropout: Before the classifier.
        eps: Of the norms; None for what the norm is made with.
    """

    width: float
    depth: float
    size: int
    dropout: float
    eps: float | None = None


# The authors' efficientnet_builder.py (https://github.com/tensorflow/tpu); equation 3 and section 4 of the paper.
EFFICIENTNETS: Mapping[int, Scaling] = {
    0: Scaling(width=1.0, depth=1.0, size=224, dropout=0.2),
    1: Scaling(width=1.0, depth=1.1, size=240, dropout=0.2),
    2: Scaling(width=1.1, depth=1.2, size=260, dropout=0.3),
    3: Scaling(width=1.2, depth=1.4, size=300, dropout=0.3),
    4: Scaling(width=1.4, depth=1.8, size=380, dropout=0.4),
    5: Scaling(width=1.6, depth=2.2, size=456, dropout=0.4, eps=_LARGE_EPS),
    6: Scaling(width=1.8, depth=2.6, size=528, dropout=0.5, eps=_LARGE_EPS),
    7: Scaling(width=2.0, depth=3.1, size=600, dropout=0.5, eps=_LARGE_EPS),
}


class MobileBlock(nn.Module):
    """1×1 up, depthwise convolution, squeeze and excitation, linear 1×1 down, and a short cut where the shapes agree.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        kernel: Side of the depthwise kernel in pixels.
        step: How the depthwise convolution samples.
        expansion: How many times deeper the depthwise convolution is than the input.
        drop: Share of the images of a batch whose residual is left out in training.
        norm: Makes the norm layer from the number of channels.
        padding: ``"torch"`` or ``"same"``, see ``ConvNormAct``.

    Source:
        Tan et al. 2018 (MnasNet), figure 7 b, https://arxiv.org/abs/1807.11626; stochastic depth: Huang et al. 2016,
        section 3, https://arxiv.org/abs/1603.09382.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int,
        step: Step,
        expansion: int,
        drop: float,
        norm: Norm,
        padding: Padding,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(ConvNormAct(in_channels, hidden, kernel=1, norm=norm, activation=_activation))
        depthwise = ConvNormAct(
            hidden,
            hidden,
            kernel=kernel,
            stride=step.stride,
            groups=hidden,
            dilation=step.entering,
            norm=norm,
            activation=_activation,
            padding=padding,
        )
        layers += [
            depthwise,
            SqueezeExcitation(hidden, max(1, in_channels // _SQUEEZE), activation=_activation),
            ConvNormAct(hidden, out_channels, kernel=1, norm=norm, activation=None),
        ]
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(drop, "row")
        self.has_short_cut = step.stride == 1 and in_channels == out_channels

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the block's output."""
        residual: Tensor = self.block(x)
        if self.has_short_cut:
            residual = self.stochastic_depth(residual)
            residual += x
        return residual

    def silence(self) -> None:
        """Make the residual zero; a block without a short cut keeps it."""
        if self.has_short_cut:
            begin_at_zero(self.block[-1][1])  # type: ignore[index]  # of a ConvNormAct


class EfficientNet(Backbone):
    """An EfficientNet without its classifier.

    Args:
        scaling: Of depths and numbers of blocks; a row of ``EFFICIENTNETS``.
        norm: Makes a norm layer from the number of channels.
        padding: ``"torch"`` for weights trained with torch, ``"same"`` for weights trained with TensorFlow.
        stochastic_depth: Share of residuals that training leaves out in the last block; it rises linearly from 0.
        output_stride: Greatest stride of the maps, 2, 4, 8, 16 or 32: stages beyond it are dilated. None for 32.
        zero_init: Let every block with a short cut begin as that.

    Attributes:
        features: ``c1`` to ``c5``: the last block before each step of the stride, and for ``c5`` the last convolution.

    Raises:
        ConfigError: If no stage ends at ``output_stride``.

    Source:
        Tan & Le 2019, table 1 and equation 3, https://arxiv.org/abs/1905.11946.
    """

    # torchvision calls the stages "features", which is the name of the contract here.
    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = ((r"^features\.", "stages."),)

    def __init__(
        self,
        scaling: Scaling,
        *,
        norm: Norm = nn.BatchNorm2d,
        padding: Padding = "torch",
        stochastic_depth: float = _STOCHASTIC_DEPTH,
        output_stride: int | None = None,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        norm = norm if scaling.eps is None else with_eps(norm, scaling.eps)
        channels = scaled_channels(_STEM_CHANNELS * scaling.width)
        stages: list[nn.Module] = [
            ConvNormAct(3, channels, stride=2, norm=norm, activation=_activation, padding=padding)
        ]
        depths, strides = [channels], [2]
        counts = [ceil(row.num_blocks * scaling.depth) for row in _STAGES]
        rates = [stochastic_depth * number / sum(counts) for number in range(sum(counts))]
        steps = dilated_steps([row.stride for row in _STAGES], start=2, output_stride=output_stride)
        for number, (row, step) in enumerate(zip(_STAGES, steps, strict=True)):
            done = sum(counts[:number])
            drops = rates[done : done + counts[number]]
            depth = scaled_channels(row.channels * scaling.width)
            stages.append(_stage(row, depths[-1], depth, step=step, drops=drops, norm=norm, padding=padding))
            depths.append(depth)
            strides.append(strides[-1] * step.stride)
        last_channels = _LAST_FACTOR * depths[-1]
        stages.append(ConvNormAct(depths[-1], last_channels, kernel=1, norm=norm, activation=_activation))
        self.stages = nn.Sequential(*stages)
        depths.append(last_channels)
        strides.append(strides[-1])
        self.features = tuple(
            FeatureSpec(name=name, channels=depths[end - 1], stride=strides[end - 1])
            for name, end in _FEATURE_ENDS.items()
        )
        _initialise(self)
        if zero_init:
            begin_as_identity(self)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … ``c5`` by name."""
        return chain_maps(enumerate(self.stages, 1), _ENDS, x)

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        return chain_stages(enumerate(self.stages, 1), _ENDS)


def _stage(
    row: _Row, in_channels: int, channels: int, *, step: Step, drops: Sequence[float], norm: Norm, padding: Padding
) -> nn.Sequential:
    blocks: list[nn.Module] = []
    for drop in drops:
        block = MobileBlock(
            channels if blocks else in_channels,
            channels,
            kernel=row.kernel,
            step=step.following if blocks else step,
            expansion=row.expansion,
            drop=drop,
            norm=norm,
            padding=padding,
        )
        blocks.append(block)
    return nn.Sequential(*blocks)


def _initialise(network: nn.Module) -> None:
    # As the authors: normal, with the variance 2 over what one output channel sends out within its group. torch
    # would count all groups, and depthwise convolutions would begin a thousandth as large.
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels // layer.groups
            nn.init.normal_(layer.weight, std=(2 / fan_out) ** 0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def efficientnet(
    variant: int,
    *,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    stochastic_depth: float = _STOCHASTIC_DEPTH,
    output_stride: int | None = None,
    zero_init: bool = False,
) -> EfficientNet:
    """Return a published EfficientNet.

    Args:
        variant: The number behind the B, 0 to 7.
        norm: See ``EfficientNet``.
        padding: See ``EfficientNet``.
        stochastic_depth: See ``EfficientNet``.
        output_stride: See ``EfficientNet``.
        zero_init: See ``EfficientNet``.

    Raises:
        ConfigError: If there is no such variant, or no stage ends at ``output_stride``.
    """
    if variant not in EFFICIENTNETS:
        raise ConfigError(f"variant must be one of 0 to {max(EFFICIENTNETS)}, for B0 and so on; got {variant}.")
    return EfficientNet(
        EFFICIENTNETS[variant],
        norm=norm,
        padding=padding,
        stochastic_depth=stochastic_depth,
        output_stride=output_stride,
        zero_init=zero_init,
    )
