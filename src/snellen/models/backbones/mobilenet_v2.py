"""MobileNetV2, which reads the weights of torchvision's network less the classifier."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones.backbone import Backbone
from snellen.nn import ConvNormAct, Norm, Padding, conv_norm
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

_activation = partial(nn.ReLU6, inplace=True)


class InvertedResidual(nn.Module):
    """1×1 up, depthwise 3×3, linear 1×1 down, and a short cut where the shapes agree.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        stride: Step of the depthwise convolution in pixels.
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
        stride: int,
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
                stride=stride,
                groups=hidden,
                norm=norm,
                activation=_activation,
                padding=padding,
            ),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            norm(out_channels),
        ]
        self.conv = _Layers(*layers)
        self.has_short_cut = stride == 1 and in_channels == out_channels

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the block's output."""
        residual: Tensor = self.conv(x)
        return x + residual if self.has_short_cut else residual


class _Layers(nn.Sequential):
    """Layers of which the last two are a convolution and its norm, which have keys of their own in torchvision."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Sequential's name
        *layers, conv, norm = self
        for layer in layers:
            input = layer(input)  # noqa: A001 - the same
        return conv_norm(conv, norm, input)


class MobileNetV2(Backbone):
    """MobileNetV2 at width 1, without its classifier.

    Args:
        norm: Makes a norm layer from the number of channels.
        padding: ``"torch"`` for weights trained with torch, ``"same"`` for weights trained with TensorFlow.

    Attributes:
        features: ``c1`` to ``c5`` with 16, 24, 32, 96 and 1280 channels: the last block before each step of
            the stride, and for ``c5`` the last convolution.

    Source:
        Sandler et al. 2018, https://arxiv.org/abs/1801.04381.
    """

    # torchvision calls the blocks "features", which is the name of the contract here.
    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = ((r"^features\.", "blocks."),)

    def __init__(self, *, norm: Norm = nn.BatchNorm2d, padding: Padding = "torch") -> None:
        super().__init__()
        blocks: list[nn.Module] = [
            ConvNormAct(3, _STEM_CHANNELS, stride=2, norm=norm, activation=_activation, padding=padding)
        ]
        channels = _STEM_CHANNELS
        depths, strides = [channels], [2]
        for expansion, width, num_blocks, first_stride in _STAGES:
            for index in range(num_blocks):
                stride = first_stride if index == 0 else 1
                blocks.append(
                    InvertedResidual(channels, width, stride=stride, expansion=expansion, norm=norm, padding=padding)
                )
                channels = width
                depths.append(width)
                strides.append(strides[-1] * stride)
        blocks.append(ConvNormAct(channels, _LAST_CHANNELS, kernel=1, norm=norm, activation=_activation))
        depths.append(_LAST_CHANNELS)
        strides.append(strides[-1])
        self.blocks = nn.Sequential(*blocks)
        self.features = tuple(
            FeatureSpec(name=name, channels=depths[end - 1], stride=strides[end - 1])
            for name, end in _FEATURE_ENDS.items()
        )
        _initialise(self)
        self.register_load_state_dict_pre_hook(_accept_torchvision_names)  # type: ignore[no-untyped-call]

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … ``c5`` by name."""
        maps = {}
        names = {end: name for name, end in _FEATURE_ENDS.items()}
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if number in names:
                maps[names[number]] = x
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        stages: dict[str, Sequence[nn.Module]] = {}
        start = 0
        for name, end in _FEATURE_ENDS.items():
            stages[name] = tuple(self.blocks[start:end])
            start = end
        return stages


def _accept_torchvision_names(_module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    theirs = prefix + "features."
    for key in [key for key in state if key.startswith(theirs)]:
        state[f"{prefix}blocks.{key.removeprefix(theirs)}"] = state.pop(key)


def _initialise(module: nn.Module) -> None:
    # As torchvision: He et al. 2015, https://arxiv.org/abs/1502.01852, fan out. Norms start at 1 and 0.
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")


def mobilenet_v2(*, norm: Norm = nn.BatchNorm2d, padding: Padding = "torch") -> MobileNetV2:
    """Return MobileNetV2 at width 1."""
    return MobileNetV2(norm=norm, padding=padding)
