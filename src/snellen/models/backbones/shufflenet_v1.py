"""ShuffleNet: grouped 1×1 convolutions with shuffled channels."""

from collections.abc import Mapping, Sequence
from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.initial import he_fan_out
from snellen.nn import ConvNormAct, Norm, begin_as_identity, begin_at_zero, channel_shuffle
from snellen.structures import FeatureSpec

__all__ = ["ShuffleNetV1", "ShuffleUnit", "shufflenet_v1"]

# Table 1 of the paper: depths of stages 2 to 4 by the number of groups, and blocks of each.
_WIDTHS: Mapping[int, tuple[int, int, int]] = {
    1: (144, 288, 576),
    2: (200, 400, 800),
    3: (240, 480, 960),
    4: (272, 544, 1088),
    8: (384, 768, 1536),
}
_DEPTHS = (4, 8, 4)
_STEM_CHANNELS = 24
_BOTTLENECK = 4  # the 3×3 convolution has a quarter of the depth of the output


class ShuffleUnit(nn.Module):
    """Grouped 1×1 down, shuffle, depthwise 3×3, grouped 1×1 up; added to the input, or behind its 3×3 mean.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        stride: 1 adds the input; 2 puts it, averaged, before the residual's channels.
        groups: Of the 1×1 convolutions.
        first_groups: Of the first one; 1 in the first unit of all, whose input is too shallow to be divided.
        norm: Makes the norm layer from the number of channels.

    Source:
        Zhang et al. 2017, figure 2 b and c, https://arxiv.org/abs/1707.01083.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, groups: int, first_groups: int, norm: Norm
    ) -> None:
        super().__init__()
        inner = _divisible(out_channels / _BOTTLENECK, groups)
        new_channels = out_channels if stride == 1 else out_channels - in_channels
        self.stride, self.groups = stride, groups
        self.reduce = ConvNormAct(in_channels, inner, kernel=1, groups=first_groups, norm=norm)
        self.depthwise = ConvNormAct(inner, inner, stride=stride, groups=inner, norm=norm, activation=None)
        self.expand = ConvNormAct(inner, new_channels, kernel=1, groups=groups, norm=norm, activation=None)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the unit's output, activated."""
        residual: Tensor = channel_shuffle(self.reduce(x), self.groups)
        residual = self.expand(self.depthwise(residual))
        if self.stride == 1:
            return self.relu(x + residual)  # type: ignore[no-any-return]  # nn.Module's call is untyped
        short_cut = functional.avg_pool2d(x, 3, self.stride, 1)
        return self.relu(torch.cat([short_cut, residual], dim=1))  # type: ignore[no-any-return]

    def silence(self) -> None:
        """Make the residual zero; a unit that does not add it keeps it."""
        if self.stride == 1:
            begin_at_zero(self.expand[1])


class ShuffleNetV1(Backbone):
    """ShuffleNet without its classifier.

    Args:
        groups: Of the 1×1 convolutions: 1, 2, 3, 4 or 8. The depths are those of the paper, which cost about the same
            for all.
        width: By how much the depths are multiplied; 0.25 to 2 in the paper. The stem has 12 channels below 1, 24 at 1
            and 1.5, 48 at 2: with these the work is the published one. Depths are rounded up to multiples of groups.
        norm: Makes a norm layer from the number of channels.
        zero_init: Let every unit of stride 1 begin as its short cut.

    Attributes:
        features: ``c1`` (the stem's convolution), ``c2`` (its pool), and ``c3`` to ``c5``, the stages 2 to 4.

    Raises:
        ConfigError: If the paper has no network of so many groups, or the width is not above 0.

    Source:
        Zhang et al. 2017, table 1, https://arxiv.org/abs/1707.01083.
    """

    def __init__(
        self, *, groups: int = 3, width: float = 1.0, norm: Norm = nn.BatchNorm2d, zero_init: bool = False
    ) -> None:
        super().__init__()
        channels, widths = _widths(groups, width)
        self.conv1 = ConvNormAct(3, channels, stride=2, norm=norm)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.features = (
            FeatureSpec(name="c1", channels=channels, stride=2),
            FeatureSpec(name="c2", channels=channels, stride=4),
            *(FeatureSpec(name=f"c{number}", channels=each, stride=2**number) for number, each in enumerate(widths, 3)),
        )
        first_groups = 1
        for number, (out_channels, depth) in enumerate(zip(widths, _DEPTHS, strict=True), 2):
            units = []
            for index in range(depth):
                unit = ShuffleUnit(
                    channels,
                    out_channels,
                    stride=2 if index == 0 else 1,
                    groups=groups,
                    first_groups=first_groups,
                    norm=norm,
                )
                units.append(unit)
                channels, first_groups = out_channels, groups
            self.add_module(f"stage{number}", nn.Sequential(*units))
        he_fan_out(self)
        if zero_init:
            begin_as_identity(self)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … ``c5`` by name."""
        maps = {"c1": self.conv1(x)}
        maps["c2"] = x = self.maxpool(maps["c1"])
        for number in (2, 3, 4):
            x = self.get_submodule(f"stage{number}")(x)
            maps[f"c{number + 1}"] = x
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        stages = {f"c{number + 1}": (self.get_submodule(f"stage{number}"),) for number in (2, 3, 4)}
        return {"c1": (self.conv1,), "c2": (self.maxpool,), **stages}


def _widths(groups: int, width: float) -> tuple[int, tuple[int, ...]]:
    """Return the depths of the stem and of the stages, all of which the groups divide."""
    if groups not in _WIDTHS:
        raise ConfigError(f"groups must be one of {', '.join(map(str, _WIDTHS))}; got {groups}.")
    if width <= 0:
        raise ConfigError(f"width must be above 0; got {width}. The paper's widths are 0.25, 0.5, 1, 1.5 and 2.")
    widths = tuple(_divisible(each * width, groups) for each in _WIDTHS[groups])
    stem = _STEM_CHANNELS * int(width) if width >= 1 else _STEM_CHANNELS // 2
    # The residual of the first unit has as many channels fewer than its output.
    return stem + (widths[0] - stem) % groups, widths


def _divisible(channels: float, groups: int) -> int:
    return ceil(channels / groups) * groups


def shufflenet_v1(
    *, groups: int = 3, width: float = 1.0, norm: Norm = nn.BatchNorm2d, zero_init: bool = False
) -> ShuffleNetV1:
    """Return ShuffleNet; see ``ShuffleNetV1``."""
    return ShuffleNetV1(groups=groups, width=width, norm=norm, zero_init=zero_init)
