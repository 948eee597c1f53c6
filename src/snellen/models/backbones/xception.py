"""Xception: depthwise-separable convolutions with shortcuts from end to end."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones.backbone import Backbone
from snellen.nn import Norm, SeparableConv2d
from snellen.nn.blocks import conv_norm
from snellen.structures import FeatureSpec

__all__ = ["Xception", "XceptionBlock", "xception"]

_NUM_MIDDLE = 8  # blocks of the middle flow; figure 5
_MIDDLE_WIDTH = 728
_LEAST_SIZE = 7  # px; below it the stem that does not pad leaves nothing


class XceptionBlock(nn.Module):
    """Separable convolutions beside a shortcut, each with a ReLU before and a norm behind it.

    Args:
        in_channels: Depth of the input.
        widths: Depths behind each convolution.
        stride: 2 ends in a pool and gives the shortcut a 1×1 convolution of stride 2.
        first_relu: Whether the first convolution has a ReLU before it.
        norm: Makes a norm layer from the number of channels.

    Source:
        Chollet 2016, figure 5, https://arxiv.org/abs/1610.02357.
    """

    def __init__(
        self, in_channels: int, widths: Sequence[int], *, stride: int = 1, first_relu: bool = True, norm: Norm
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for width in widths:
            # The first ReLU must not write into what the shortcut reads.
            layers += [nn.ReLU(inplace=len(layers) > 0), SeparableConv2d(channels, width), norm(width)]
            channels = width
        layers = layers if first_relu else layers[1:]
        if stride > 1:
            layers.append(nn.MaxPool2d(3, stride, 1))
        self.rep = nn.Sequential(*layers)
        has_projection = stride > 1 or channels != in_channels
        self.skip = nn.Conv2d(in_channels, channels, 1, stride, bias=False) if has_projection else nn.Identity()
        self.skipbn = norm(channels) if has_projection else nn.Identity()

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        """Return the sum of both ways, without an activation."""
        result: Tensor = self.rep(x) + conv_norm(self.skip, self.skipbn, x)
        return result


class Xception(Backbone):
    """Xception without its classifier.

    Reads the state dict of timm's ``legacy_xception``.

    Args:
        norm: Makes a norm layer from the number of channels.
        padded: True pads half of every kernel, so that a map has ``ceil(size / stride)`` cells. False leaves the two
            convolutions of the stem unpadded, as published: at 299 px the maps have 147, 74, 37, 19 and 10 cells a
            side. The weights are the same.

    Attributes:
        features: ``c1`` to ``c5``, the last maps at strides 2 to 32, each after a ReLU.

    Source:
        Chollet 2016, figure 5, https://arxiv.org/abs/1610.02357.
    """

    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"^(conv|bn)([12])\.", r"stem.\1\2."),
        (r"^(block\d+\.rep\.\d+|conv[34])\.conv1\.", r"\1.depthwise."),
    )
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)

    def __init__(self, *, norm: Norm = nn.BatchNorm2d, padded: bool = True) -> None:
        super().__init__()
        self.stem = _Stem(norm, padded=padded)
        middle = _MIDDLE_WIDTH
        self.block1 = XceptionBlock(64, (128, 128), stride=2, first_relu=False, norm=norm)
        self.block2 = XceptionBlock(128, (256, 256), stride=2, norm=norm)
        self.block3 = XceptionBlock(256, (middle, middle), stride=2, norm=norm)
        for number in range(4, 4 + _NUM_MIDDLE):
            self.add_module(f"block{number}", XceptionBlock(middle, (middle,) * 3, norm=norm))
        self.block12 = XceptionBlock(middle, (middle, 1024), stride=2, norm=norm)
        self.conv3, self.bn3 = SeparableConv2d(1024, 1536), norm(1536)
        self.conv4, self.bn4 = SeparableConv2d(1536, 2048), norm(2048)
        self.relu = nn.ReLU(inplace=True)
        self.features = tuple(
            FeatureSpec(name=f"c{number}", channels=channels, stride=2**number)
            for number, channels in enumerate((64, 128, 256, middle, 2048), 1)
        )
        self.least_size = 1 if padded else _LEAST_SIZE
        for layer in self.modules():
            # As timm: He et al. 2015, https://arxiv.org/abs/1502.01852, fan out.
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … ``c5`` by name."""
        maps = {"c1": self.stem(x)}
        x = maps["c1"]
        for number in range(1, 5 + _NUM_MIDDLE):
            x = self.get_submodule(f"block{number}")(x)
            name = _ENDS.get(number)
            if name is not None:
                maps[name] = nn.functional.relu(x)
        x = self.relu(self.bn3(self.conv3(x)))
        maps["c5"] = self.relu(self.bn4(self.conv4(x)))
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        blocks = {number: self.get_submodule(f"block{number}") for number in range(1, 5 + _NUM_MIDDLE)}
        return {
            "c1": (self.stem,),
            "c2": (blocks[1],),
            "c3": (blocks[2],),
            "c4": tuple(blocks[number] for number in range(3, 4 + _NUM_MIDDLE)),
            "c5": (self.block12, self.conv3, self.bn3, self.conv4, self.bn4),
        }


_ENDS = {1: "c2", 2: "c3", 3 + _NUM_MIDDLE: "c4"}  # blocks whose output a feature is


class _Stem(nn.Module):
    def __init__(self, norm: Norm, *, padded: bool) -> None:
        super().__init__()
        padding = int(padded)
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, 2, padding, bias=False), norm(32)
        self.conv2, self.bn2 = nn.Conv2d(32, 64, 3, 1, padding, bias=False), norm(64)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Tensor:
        x = self.relu(conv_norm(self.conv1, self.bn1, x))
        result: Tensor = self.relu(conv_norm(self.conv2, self.bn2, x))
        return result


def xception(*, norm: Norm = nn.BatchNorm2d, padded: bool = True) -> Xception:
    """Return Xception; see ``Xception``."""
    return Xception(norm=norm, padded=padded)
