"""VGG-11 to 19 with the weights of torchvision's networks, and the VGG-16 that SSD stands on."""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones.backbone import Backbone
from snellen.nn import Norm
from snellen.structures import FeatureSpec

__all__ = ["VGG", "SsdVgg16", "vgg11", "vgg13", "vgg16", "vgg19", "vgg_5x5"]

_WIDTHS = (64, 128, 256, 512, 512)  # table 1 of the paper
_VGG11 = (1, 1, 2, 2, 2)  # configuration A: convolutions before each pool
_VGG13 = (2, 2, 2, 2, 2)  # B
_VGG16 = (2, 2, 3, 3, 3)  # D
_VGG19 = (2, 2, 4, 4, 4)  # E
_SHALLOW = (1, 1, 1, 1, 1)  # section 4.1: B with a 5×5 convolution for each pair

_ATROUS_WIDTH = 1024  # depth of SSD's fc6 and fc7
_ATROUS_DILATION = 6  # pixels; the kernel's 3×3 taps then cover the 7×7 of VGG's fc6 at half its stride
_FC_WIDTH = 4096
_FC_KERNEL = 7
# Of fc6's 4096 outputs every 4th is kept, of its 7 rows and columns every 3rd: (4096, 7, 7) -> (1024, 3, 3).
_KEPT_OUTPUTS = slice(None, None, 4)
_KEPT_TAPS = slice(None, None, 3)


def _vgg_layers(
    depths: Sequence[int], *, norm: Norm | None, last_pool: bool = True, kernel: int = 3
) -> tuple[nn.Sequential, list[int]]:
    """Return the layers, numbered as torchvision's ``features``, and for each block the index past its last ReLU."""
    layers: list[nn.Module] = []
    ends = []
    channels = 3
    for block, (depth, width) in enumerate(zip(depths, _WIDTHS, strict=True)):
        for _ in range(depth):
            layers.append(nn.Conv2d(channels, width, kernel, padding=kernel // 2))
            if norm is not None:
                layers.append(norm(width))
            layers.append(nn.ReLU(inplace=True))
            channels = width
        ends.append(len(layers))
        if last_pool or block < len(depths) - 1:
            layers.append(_pool())
    return nn.Sequential(*layers), ends


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(2, 2, ceil_mode=True)


class VGG(Backbone):
    """A VGG network without its fully connected layers; ``FcPair`` has those.

    Args:
        depths: Number of convolutions before each of the five pools.
        norm: Makes a norm layer behind each convolution from the number of channels; None, as in the paper,
            for none.
        kernel: Side of the convolutions in pixels, odd.

    Attributes:
        features: ``c1`` (conv2's last map, stride 2) to ``c4`` (conv5's last map, stride 16), each after its
            activation and before its pool, and ``c5``, pool5. Detectors stand on ``c4``.
        inner: ``c0``, conv1's last map, at stride 1.

    Source:
        Simonyan & Zisserman 2014, table 1, https://arxiv.org/abs/1409.1556. Differs: the pools round up, as
        Caffe's do, so that a map has ``ceil(size / stride)`` cells; torchvision's round down. Where 32 divides
        the size there is no difference.
    """

    # torchvision calls the layers "features", which is the name of the contract here.
    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = ((r"^features\.", "layers."),)

    def __init__(self, depths: Sequence[int], *, norm: Norm | None = None, kernel: int = 3) -> None:
        super().__init__()
        self.layers, ends = _vgg_layers(depths, norm=norm, kernel=kernel)
        self.ends = {f"c{number}": end for number, end in enumerate(ends)}
        self.ends["c5"] = len(self.layers)
        widths = (*_WIDTHS, _WIDTHS[-1])
        specs = tuple(
            FeatureSpec(name=name, channels=width, stride=2 ** int(name[1:]))
            for name, width in zip(self.ends, widths, strict=True)
        )
        self.inner, self.features = specs[:1], specs[1:]
        _initialise(self)

    def forward(
        self, x: Float[Tensor, "batch 3 height width"], *, inner: bool = False
    ) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … ``c5`` by name, and ``c0``, if it is wanted."""
        maps = _tapped(self.layers, self.ends, x)
        return maps if inner else {spec.name: maps[spec.name] for spec in self.features if spec.name in maps}

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        return _cut(self.layers, {name: end for name, end in self.ends.items() if name != "c0"})


class SsdVgg16(Backbone):
    """VGG-16 whose fully connected layers have become convolutions, which SSD stands on.

    Reads ``backbone.features.*`` and ``backbone.extra.0.*`` of torchvision's ``ssd300_vgg16``, and the state
    dict of torchvision's ``vgg16``: its fc6 and fc7 are thinned out as the paper does.

    Args:
        atrous: True for the paper's network: pool5 is 3×3 with stride 1, fc6 a 3×3 convolution of dilation 6
            with 1024 channels. False for its ablation (section 3.3, "Atrous is faster"): pool5 is 2×2 with
            stride 2, fc6 and fc7 keep their 7×7 and 1×1 kernels and 4096 channels.
        norm: Makes a norm layer behind each 3×3 convolution of VGG; None, as in the paper, for none. fc6 and
            fc7 get none.

    Attributes:
        features: ``c3`` (conv4_3, 512 channels, stride 8) and ``c4`` (fc7, 1024 channels, stride 16); without
            ``atrous`` ``c3``, ``c4`` (conv5_3, 512 channels, stride 16) and ``c5`` (fc7, 4096 channels,
            stride 32). ``c3`` is before the L2 norm, which is SSD's.

    Source:
        Liu et al. 2016, section 3, https://arxiv.org/abs/1512.02325; which values of fc6 and fc7 are kept:
        Chen et al. 2014, section 3.1, https://arxiv.org/abs/1412.7062. Differs: all pools round up (the
        paper's do, in Caffe; torchvision's only pool3), so that conv4_3 has 38 cells at 300 px.
    """

    # The authors subtract 123, 117, 104 from bytes and divide by nothing.
    mean = (0.48235, 0.45882, 0.40784)
    std = (1 / 255, 1 / 255, 1 / 255)

    def __init__(self, *, atrous: bool = True, norm: Norm | None = None) -> None:
        super().__init__()
        self.atrous = atrous
        self.layers, ends = _vgg_layers(_VGG16, norm=norm, last_pool=False)
        self.fused_ends = (ends[2], ends[3])  # of conv3 and conv4
        self.relu = nn.ReLU(inplace=True)
        if atrous:
            width = _ATROUS_WIDTH
            self.pool5 = nn.MaxPool2d(3, 1, 1)
            self.fc6 = nn.Conv2d(_WIDTHS[-1], width, 3, padding=_ATROUS_DILATION, dilation=_ATROUS_DILATION)
            self.ends = {"c3": ends[3]}
        else:
            width = _FC_WIDTH
            self.pool5 = _pool()
            self.fc6 = nn.Conv2d(_WIDTHS[-1], width, _FC_KERNEL, padding=_FC_KERNEL // 2)
            self.ends = {"c3": ends[3], "c4": ends[4]}
        self.fc7 = nn.Conv2d(width, width, 1)
        specs = [FeatureSpec(name=name, channels=512, stride=2 ** int(name[1:])) for name in self.ends]
        last = 4 if atrous else 5
        self.features = (*specs, FeatureSpec(name=f"c{last}", channels=width, stride=2**last))
        self.foreign_names = _ssd_names() if norm is None else VGG.foreign_names  # type: ignore[misc]
        _initialise(self.layers)
        for layer in (self.fc6, self.fc7):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps of ``features`` by name."""
        maps = self.convolved(x)
        x = self.pool5(maps.pop("conv5"))
        maps[self.features[-1].name] = self.relu(self.fc7(self.relu(self.fc6(x))))
        return maps

    def convolved(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps of the 3×3 convolutions by name, with ``conv5``, the last one before pool5."""
        return _tapped(self.layers, {**self.ends, "conv5": len(self.layers)}, x)

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        last = self.features[-1].name
        stages = dict(_cut(self.layers, {**self.ends, last: len(self.layers)}))
        stages[last] = (*stages[last], self.pool5, self.fc6, self.fc7)
        return stages

    def adapted_weights(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a file with the fully connected layers of VGG-16 as convolutions."""
        adapted = {}
        for key, value in tensors.items():
            found = re.search(r"(?:^|\.)classifier\.([03])\.(weight|bias)$", key)
            if found is None or value.shape[0] != _FC_WIDTH:
                adapted[key] = value
            elif found[1] == "0":
                adapted[f"fc6.{found[2]}"] = self._as_fc6(value)
            else:
                adapted[f"fc7.{found[2]}"] = self._as_fc7(value)
        return adapted

    def _as_fc6(self, value: Tensor) -> Tensor:
        if value.dim() > 1:
            value = value.reshape(_FC_WIDTH, -1, _FC_KERNEL, _FC_KERNEL)
        if not self.atrous:
            return value
        return value[_KEPT_OUTPUTS] if value.dim() == 1 else value[_KEPT_OUTPUTS, :, _KEPT_TAPS, _KEPT_TAPS]

    def _as_fc7(self, value: Tensor) -> Tensor:
        if value.dim() > 1:
            value = value[:, :, None, None]
        if not self.atrous:
            return value
        return value[_KEPT_OUTPUTS] if value.dim() == 1 else value[_KEPT_OUTPUTS, _KEPT_OUTPUTS]


def _ssd_names() -> tuple[tuple[str, str], ...]:
    # torchvision's "extra.0" starts with pool4, which is layer 23 of VGG-16; its entry 7 holds pool5, fc6 and fc7.
    conv5 = tuple((rf"^extra\.0\.{place}\.", f"layers.{23 + place}.") for place in (1, 3, 5))
    fc = ((r"^extra\.0\.7\.1\.", "fc6."), (r"^extra\.0\.7\.3\.", "fc7."))
    return (*VGG.foreign_names, *conv5, *fc)


def _tapped(layers: nn.Sequential, ends: Mapping[str, int], x: Tensor) -> dict[str, Tensor]:
    maps = {}
    start = 0
    for name, end in ends.items():
        for layer in layers[start:end]:
            x = layer(x)
        maps[name] = x
        start = end
    return maps


def _cut(layers: nn.Sequential, ends: Mapping[str, int]) -> dict[str, Sequence[nn.Module]]:
    starts = (0, *ends.values())
    return {name: tuple(layers[start:end]) for (name, end), start in zip(ends.items(), starts, strict=False)}


def _initialise(module: nn.Module) -> None:
    # As torchvision: He et al. 2015, https://arxiv.org/abs/1502.01852, fan out. Norms start at 1 and 0.
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def vgg11(*, norm: Norm | None = None) -> VGG:
    """Return VGG-11 (configuration A)."""
    return VGG(_VGG11, norm=norm)


def vgg13(*, norm: Norm | None = None) -> VGG:
    """Return VGG-13 (configuration B)."""
    return VGG(_VGG13, norm=norm)


def vgg16(*, norm: Norm | None = None) -> VGG:
    """Return VGG-16 (configuration D)."""
    return VGG(_VGG16, norm=norm)


def vgg19(*, norm: Norm | None = None) -> VGG:
    """Return VGG-19 (configuration E)."""
    return VGG(_VGG19, norm=norm)


def vgg_5x5(*, norm: Norm | None = None) -> VGG:
    """Return the shallow twin of VGG-13: one 5×5 convolution in the place of each pair of 3×3.

    It sees as far with 25 weights for 18, and bends half as often: top-1 error 7 points above VGG-13's.

    Source:
        Simonyan & Zisserman 2014, sections 2.3 and 4.1.
    """
    return VGG(_SHALLOW, norm=norm, kernel=5)
