"""One network for images of 32 px, of bottlenecks or of inverted residuals."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from jaxtyping import Float
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.initial import he_fan_out
from snellen.nn import ConvNormAct, Norm, Step, WaistBlock, begin_as_identity, bottleneck_block, inverted_block
from snellen.structures import FeatureSpec

__all__ = ["Waist", "WaistNet", "cifar_bottleneck", "cifar_inverted"]

Waist = Literal["narrow", "wide"]
_STRIDES = (1, 2, 2)
_NUM_BLOCKS = 5  # of each stage
# At these depths both have 0.50 million parameters, and 75 and 81 million multiply-adds at 32 px. Where the waist is
# narrow, what is handed on is deep.
_DEPTHS: Mapping[Waist, tuple[int, int, int]] = {"narrow": (64, 128, 256), "wide": (20, 40, 80)}


class _Maker(Protocol):
    def __call__(self, in_channels: int, out_channels: int, /, *, step: Step, norm: Norm) -> WaistBlock: ...


_MAKERS: Mapping[Waist, _Maker] = {"narrow": bottleneck_block, "wide": inverted_block}


class WaistNet(Backbone):
    """A stem that keeps the size, and three stages of blocks that differ in their waist alone.

    Args:
        waist: ``"narrow"`` for ResNet's bottleneck, ``"wide"`` for MobileNetV2's inverted residual.
        depths: Of what the blocks of each stage hand on; None for those at which both have as many parameters.
        num_blocks: Of each stage.
        norm: Makes a norm layer from the number of channels.
        zero_init: Let every block with a short cut begin as that.

    Attributes:
        features: ``c0``, ``c1`` and ``c2``: one map for each stage, at strides 1, 2 and 4.

    Raises:
        ConfigError: If there is no such waist, or there are not three depths.

    Source:
        Sandler et al. 2018, figure 3, https://arxiv.org/abs/1801.04381, compares the blocks; the stem and the stages
        are those of He et al. 2015, section 4.2, https://arxiv.org/abs/1512.03385.
    """

    def __init__(
        self,
        waist: Waist,
        *,
        depths: Sequence[int] | None = None,
        num_blocks: int = _NUM_BLOCKS,
        norm: Norm = nn.BatchNorm2d,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        if waist not in _MAKERS:
            raise ConfigError(f"waist must be one of {', '.join(map(repr, _MAKERS))}; got {waist!r}.")
        chosen = _DEPTHS[waist] if depths is None else tuple(depths)
        if len(chosen) != len(_STRIDES):
            raise ConfigError(f"depths must be {len(_STRIDES)} numbers, one for each stage; got {list(chosen)}.")
        make = _MAKERS[waist]
        channels = chosen[0]
        self.stem = ConvNormAct(3, channels, norm=norm)
        features = []
        total = 1
        for number, (depth, stride) in enumerate(zip(chosen, _STRIDES, strict=True)):
            blocks = [make(channels, depth, step=Step(stride=stride), norm=norm)]
            blocks += [make(depth, depth, step=Step(), norm=norm) for _ in range(num_blocks - 1)]
            self.add_module(f"stage{number}", nn.Sequential(*blocks))
            channels, total = depth, total * stride
            features.append(FeatureSpec(name=f"c{number}", channels=depth, stride=total))
        self.features = tuple(features)
        he_fan_out(self)
        if zero_init:
            begin_as_identity(self)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c0`` … by name."""
        maps = {}
        x = self.stem(x)
        for number, spec in enumerate(self.features):
            x = self.get_submodule(f"stage{number}")(x)
            maps[spec.name] = x
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        stages = {spec.name: (self.get_submodule(f"stage{number}"),) for number, spec in enumerate(self.features)}
        return {**stages, "c0": (self.stem, self.get_submodule("stage0"))}


def cifar_bottleneck(*, norm: Norm = nn.BatchNorm2d, zero_init: bool = False) -> WaistNet:
    """Return the network of bottlenecks, the twin of ``cifar_inverted``."""
    return WaistNet("narrow", norm=norm, zero_init=zero_init)


def cifar_inverted(*, norm: Norm = nn.BatchNorm2d, zero_init: bool = False) -> WaistNet:
    """Return the network of inverted residuals, the twin of ``cifar_bottleneck``."""
    return WaistNet("wide", norm=norm, zero_init=zero_init)
