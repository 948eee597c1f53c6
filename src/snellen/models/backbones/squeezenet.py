"""SqueezeNet 1.0 and 1.1, which read the weights of torchvision's networks less the classifier."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.chain import chain_maps, chain_stages
from snellen.nn import Norm, conv_norm
from snellen.structures import FeatureSpec

__all__ = ["Fire", "SqueezeNet", "squeezenet1_0", "squeezenet1_1"]

# Depths of the squeezing and of each expanding convolution of the fire modules 2 to 9; table 1 of the paper.
_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
_LEAST_SIZE = 14  # px more than the first kernel; below it the unpadded pools leave nothing


class Fire(nn.Module):
    """1×1 down, then 1×1 and 3×3 convolutions up, side by side.

    Args:
        in_channels: Depth of the input.
        squeezed: Depth between.
        expanded: Depth of each of the two outputs, which are joined.
        norm: Makes a norm layer behind each convolution; None, as in the paper, for none.

    Source:
        Iandola et al. 2016, figure 1, https://arxiv.org/abs/1602.07360.
    """

    def __init__(self, in_channels: int, squeezed: int, expanded: int, *, norm: Norm | None = None) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.squeeze_norm, self.expand1x1_norm, self.expand3x3_norm = (
            nn.Identity() if norm is None else norm(channels) for channels in (squeezed, expanded, expanded)
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "batch _ rows columns"]) -> Float[Tensor, "batch _ rows columns"]:
        """Return both outputs, activated and joined."""
        x = self.relu(conv_norm(self.squeeze, self.squeeze_norm, x))
        points = conv_norm(self.expand1x1, self.expand1x1_norm, x)
        squares = conv_norm(self.expand3x3, self.expand3x3_norm, x)
        return self.relu(torch.cat([points, squares], dim=1))  # type: ignore[no-any-return]  # untyped call


class SqueezeNet(Backbone):
    """SqueezeNet without its classifier, a 1×1 convolution that ``ClassMapHead`` has.

    Args:
        stem: Depth and side of the kernel of the first convolution, whose stride is 2.
        pools_before: Numbers of the fire modules (2 to 9) before which a pool stands.
        norm: Makes a norm layer behind each convolution; None, as in the paper, for none.
        padded: True pads half of every kernel, so that a map has ``ceil(size / stride)`` cells. False pads only where
            the paper does, in the fire modules: at 224 px version 1.1 ends at 13×13. The weights are the same.

    Attributes:
        features: ``c1`` (the first convolution) to ``c4``: the last map at each of the strides 2 to 16.

    Source:
        Iandola et al. 2016, table 1, https://arxiv.org/abs/1602.07360; version 1.1:
        https://github.com/forresti/SqueezeNet.
    """

    # torchvision calls the layers "features", which is the name of the contract here.
    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = ((r"^features\.", "layers."),)

    def __init__(
        self, stem: tuple[int, int], pools_before: Sequence[int], *, norm: Norm | None = None, padded: bool = True
    ) -> None:
        super().__init__()
        channels, kernel = stem
        layers: list[nn.Module] = [
            nn.Conv2d(3, channels, kernel, 2, kernel // 2 if padded else 0),
            _normed_relu(norm, channels),
        ]
        ends = []
        depths = []
        for number, (squeezed, expanded) in enumerate(_FIRES, 2):
            if number in pools_before:
                ends.append(len(layers))
                depths.append(channels)
                layers.append(nn.MaxPool2d(3, 2, 1) if padded else nn.MaxPool2d(3, 2, ceil_mode=True))
            layers.append(Fire(channels, squeezed, expanded, norm=norm))
            channels = 2 * expanded
        self.layers = nn.Sequential(*layers)
        self.ends = {end: f"c{number}" for number, end in enumerate((*ends, len(layers)), 1)}
        self.features = tuple(
            FeatureSpec(name=f"c{number}", channels=depth, stride=2**number)
            for number, depth in enumerate((*depths, channels), 1)
        )
        self.least_size = 1 if padded else _LEAST_SIZE + kernel
        _initialise(self)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … ``c4`` by name."""
        return chain_maps(enumerate(self.layers, 1), self.ends, x)

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        return chain_stages(enumerate(self.layers, 1), self.ends)


class _NormedReLU(nn.Sequential):
    """A norm and a ReLU as one layer, so that the numbers of the layers are torchvision's."""


def _normed_relu(norm: Norm | None, channels: int) -> nn.Module:
    relu = nn.ReLU(inplace=True)
    return relu if norm is None else _NormedReLU(norm(channels), relu)


def _initialise(network: nn.Module) -> None:
    # As torchvision: He et al. 2015, https://arxiv.org/abs/1502.01852, uniform, fan in.
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def squeezenet1_0(*, norm: Norm | None = None, padded: bool = True) -> SqueezeNet:
    """Return SqueezeNet 1.0, the paper's."""
    return SqueezeNet((96, 7), (2, 5, 9), norm=norm, padded=padded)


def squeezenet1_1(*, norm: Norm | None = None, padded: bool = True) -> SqueezeNet:
    """Return SqueezeNet 1.1: the accuracy of 1.0 with 2.4 times less work, as it pools earlier."""
    return SqueezeNet((64, 3), (2, 4, 6), norm=norm, padded=padded)
