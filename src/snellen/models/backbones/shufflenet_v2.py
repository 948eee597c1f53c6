"""ShuffleNet v2, with the keys of torchvision's networks less the classifier."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.initial import he_fan_out
from snellen.nn import ConvNormAct, Norm, channel_shuffle, conv_norm
from snellen.structures import FeatureSpec

__all__ = ["ShuffleNetV2", "SplitUnit", "shufflenet_v2"]

# Table 5 of the paper: depths of stages 2 to 4 and of the last convolution by width, and units of each stage.
_WIDTHS: Mapping[float, tuple[int, int, int, int]] = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
_DEPTHS = (4, 8, 4)
_STEM_CHANNELS = 24
_NUM_BRANCHES = 2


class SplitUnit(nn.Module):
    """Half of the channels pass untouched, half go through 1×1, depthwise 3×3 and 1×1; then all are shuffled.

    Where the unit has a stride nothing is split: both branches see all channels, and the first has a depthwise 3×3
    and a 1×1 convolution of its own.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output; that of the input where the stride is 1.
        stride: Step in pixels.
        norm: Makes the norm layer from the number of channels.

    Source:
        Ma et al. 2018, figure 3 c and d, https://arxiv.org/abs/1807.11164.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, norm: Norm) -> None:
        super().__init__()
        half = out_channels // _NUM_BRANCHES
        self.stride = stride
        self.branch1 = _Branch() if stride == 1 else _Branch(*_depthwise(in_channels, half, stride, norm))
        entering = half if stride == 1 else in_channels
        first = [nn.Conv2d(entering, half, 1, bias=False), norm(half), nn.ReLU(inplace=True)]
        self.branch2 = _Branch(*first, *_depthwise(half, half, stride, norm))

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the unit's output."""
        kept, changed = x.chunk(_NUM_BRANCHES, dim=1) if self.stride == 1 else (self.branch1(x), x)
        return channel_shuffle(torch.cat([kept, self.branch2(changed)], dim=1), _NUM_BRANCHES)


class _Branch(nn.Sequential):
    """Layers in which a norm follows every convolution."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Sequential's name
        layers = iter(self)
        for layer in layers:
            input = conv_norm(layer, next(layers), input) if isinstance(layer, nn.Conv2d) else layer(input)  # noqa: A001
        return input


def _depthwise(in_channels: int, out_channels: int, stride: int, norm: Norm) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False),
        norm(in_channels),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        norm(out_channels),
        nn.ReLU(inplace=True),
    ]


class ShuffleNetV2(Backbone):
    """ShuffleNet v2 without its classifier.

    Args:
        width: 0.5, 1, 1.5 or 2: which row of the paper's table.
        norm: Makes a norm layer from the number of channels.

    Attributes:
        features: ``c1`` (the stem's convolution), ``c2`` (its pool), ``c3`` and ``c4`` (stages 2 and 3), and ``c5``,
            the last convolution.

    Raises:
        ConfigError: If the paper has no such width.

    Source:
        Ma et al. 2018, table 5, https://arxiv.org/abs/1807.11164.
    """

    def __init__(self, *, width: float = 1.0, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        if width not in _WIDTHS:
            raise ConfigError(f"width must be one of {', '.join(map(str, _WIDTHS))}; got {width}.")
        *widths, last_channels = _WIDTHS[width]
        self.conv1 = ConvNormAct(3, _STEM_CHANNELS, stride=2, norm=norm)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = _STEM_CHANNELS
        for number, (out_channels, depth) in enumerate(zip(widths, _DEPTHS, strict=True), 2):
            units = [SplitUnit(channels, out_channels, stride=2, norm=norm)]
            units += [SplitUnit(out_channels, out_channels, stride=1, norm=norm) for _ in range(depth - 1)]
            self.add_module(f"stage{number}", nn.Sequential(*units))
            channels = out_channels
        self.conv5 = ConvNormAct(channels, last_channels, kernel=1, norm=norm)
        depths = (_STEM_CHANNELS, _STEM_CHANNELS, widths[0], widths[1], last_channels)
        self.features = tuple(
            FeatureSpec(name=f"c{number}", channels=each, stride=2**number) for number, each in enumerate(depths, 1)
        )
        he_fan_out(self)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … ``c5`` by name."""
        maps = {}
        for name, modules in self.stage_modules().items():
            for module in modules:
                x = module(x)
            maps[name] = x
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        stage2, stage3, stage4 = (self.get_submodule(f"stage{number}") for number in (2, 3, 4))
        return {
            "c1": (self.conv1,),
            "c2": (self.maxpool,),
            "c3": (stage2,),
            "c4": (stage3,),
            "c5": (stage4, self.conv5),
        }


def shufflenet_v2(*, width: float = 1.0, norm: Norm = nn.BatchNorm2d) -> ShuffleNetV2:
    """Return ShuffleNet v2; see ``ShuffleNetV2``."""
    return ShuffleNetV2(width=width, norm=norm)
