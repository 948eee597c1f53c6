"""Residual networks for images of 32 px: those of CIFAR, and wide ones."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.initial import he_fan_out
from snellen.models.backbones.resnet_blocks import BasicBlock, BlockDesign, resnet_stage
from snellen.nn import Norm, PreActBasic, ShortCut, Step, begin_as_identity, conv_norm, dilated_steps
from snellen.structures import FeatureSpec

__all__ = [
    "CifarResNet",
    "WideResNet",
    "cifar_plain20",
    "cifar_plain56",
    "cifar_resnet20",
    "cifar_resnet32",
    "cifar_resnet44",
    "cifar_resnet56",
    "cifar_resnet110",
    "wrn16_8",
    "wrn28_10",
    "wrn40_4",
]

_WIDTHS = (16, 32, 64)  # section 4.2 of He et al. 2015; table 1 of Zagoruyko & Komodakis 2016
_STRIDES = (1, 2, 2)


class CifarResNet(Backbone):
    """A residual network whose stem keeps the size of the image.

    Args:
        depth: Layers with weights, the classifier included: 6n + 2, with n blocks in each stage.
        short_cut: Where the depth changes; the paper pads with zeros, and leaves all short cuts out of its plain
            networks.
        norm: Makes a norm layer from the number of channels.
        output_stride: Greatest stride of the maps, 1, 2 or 4: stages beyond it are dilated. None for 4.
        zero_init: Let every block begin as its short cut.

    Attributes:
        features: ``c0``, ``c1`` and ``c2``: one map for each stage, at strides 1, 2 and 4.

    Raises:
        ConfigError: If no network has that depth, or no stage ends at ``output_stride``.

    Source:
        He et al. 2015, section 4.2, https://arxiv.org/abs/1512.03385.
    """

    def __init__(
        self,
        depth: int,
        *,
        short_cut: ShortCut = "padded",
        norm: Norm = nn.BatchNorm2d,
        output_stride: int | None = None,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        num_blocks = _blocks_per_stage(depth, beside=2)
        self.conv1 = nn.Conv2d(3, _WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = norm(_WIDTHS[0])
        self.relu = nn.ReLU(inplace=True)
        design = BlockDesign(short_cut=short_cut)
        steps = dilated_steps(_STRIDES, start=1, output_stride=output_stride)
        channels = _WIDTHS[0]
        for number, (width, step) in enumerate(zip(_WIDTHS, steps, strict=True), 1):
            stage = resnet_stage(
                BasicBlock, channels, width, num_blocks=num_blocks, stride=step, norm=norm, design=design
            )
            self.add_module(f"layer{number}", stage)
            channels = width
        self.features = _specs(_WIDTHS, steps)
        he_fan_out(self)
        if zero_init:
            begin_as_identity(self)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c0`` … by name."""
        maps = {}
        x = self.relu(conv_norm(self.conv1, self.bn1, x))
        for number, spec in enumerate(self.features, 1):
            x = self.get_submodule(f"layer{number}")(x)
            maps[spec.name] = x
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        stages = {spec.name: (self.get_submodule(f"layer{number}"),) for number, spec in enumerate(self.features, 1)}
        return {**stages, "c0": (self.conv1, self.bn1, self.get_submodule("layer1"))}


class WideResNet(Backbone):
    """A residual network of few and deep pre-activation blocks, WRN-depth-width.

    Args:
        depth: Convolutions on the way, projections included: 6n + 4, with n blocks in each stage.
        width: How many times deeper the stages are than those of ``CifarResNet``.
        dropout: Share of values within the blocks that training sets to zero; 0.3 or 0.4 in the paper, where any.
        norm: Makes a norm layer from the number of channels.
        output_stride: Greatest stride of the maps, 1, 2 or 4: stages beyond it are dilated. None for 4.
        zero_init: Let every block begin as its short cut: the weights of its last convolution are 0.

    Attributes:
        features: ``c0``, ``c1`` and ``c2``: one map for each stage, at strides 1, 2 and 4; ``c2`` is normalised and
            activated, as the classifier reads it.

    Raises:
        ConfigError: If no network has that depth or width, or no stage ends at ``output_stride``.

    Source:
        Zagoruyko & Komodakis 2016, table 1, https://arxiv.org/abs/1605.07146.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        *,
        dropout: float = 0.0,
        norm: Norm = nn.BatchNorm2d,
        output_stride: int | None = None,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width must be 1 or more; got {width}. The paper's networks have 1 to 12.")
        num_blocks = _blocks_per_stage(depth, beside=4)
        self.conv1 = nn.Conv2d(3, _WIDTHS[0], 3, 1, 1, bias=False)
        steps = dilated_steps(_STRIDES, start=1, output_stride=output_stride)
        widths = [each * width for each in _WIDTHS]
        channels = _WIDTHS[0]
        for number, (depth_of_stage, step) in enumerate(zip(widths, steps, strict=True), 1):
            stage = _wide_stage(channels, depth_of_stage, num_blocks, step, norm, dropout)
            self.add_module(f"group{number}", stage)
            channels = depth_of_stage
        self.norm = norm(channels)
        self.features = _specs(widths, steps)
        he_fan_out(self)
        if zero_init:
            begin_as_identity(self)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c0`` … by name."""
        maps = {}
        x = self.conv1(x)
        for number, spec in enumerate(self.features, 1):
            x = self.get_submodule(f"group{number}")(x)
            maps[spec.name] = functional.relu(self.norm(x)) if number == len(_WIDTHS) else x
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        first, second, third = (self.get_submodule(f"group{number}") for number in (1, 2, 3))
        stages = {"c0": (self.conv1, first), "c1": (second,), "c2": (third, self.norm)}
        return {spec.name: stages[spec.name] for spec in self.features}


def _wide_stage(in_channels: int, width: int, num_blocks: int, step: Step, norm: Norm, dropout: float) -> nn.Sequential:
    blocks = [PreActBasic(in_channels, width, step=step, norm=norm, dropout=dropout)]
    blocks += [
        PreActBasic(width, width, step=step.following, norm=norm, dropout=dropout) for _ in range(num_blocks - 1)
    ]
    return nn.Sequential(*blocks)


def _blocks_per_stage(depth: int, *, beside: int) -> int:
    num_blocks, rest = divmod(depth - beside, 2 * len(_WIDTHS))
    if rest or num_blocks < 1:
        nearest = 2 * len(_WIDTHS) * max(1, round((depth - beside) / (2 * len(_WIDTHS)))) + beside
        raise ConfigError(f"depth must be 6n + {beside}; got {depth}. The nearest is {nearest}.")
    return num_blocks


def _specs(widths: Sequence[int], steps: Sequence[Step]) -> tuple[FeatureSpec, ...]:
    specs = []
    stride = 1
    for number, (width, step) in enumerate(zip(widths, steps, strict=True)):
        stride *= step.stride
        specs.append(FeatureSpec(name=f"c{number}", channels=width, stride=stride))
    return tuple(specs)


def cifar_resnet20(*, norm: Norm = nn.BatchNorm2d, zero_init: bool = False) -> CifarResNet:
    """Return the residual network of 20 layers for CIFAR."""
    return CifarResNet(20, norm=norm, zero_init=zero_init)


def cifar_resnet32(*, norm: Norm = nn.BatchNorm2d, zero_init: bool = False) -> CifarResNet:
    """Return the residual network of 32 layers for CIFAR."""
    return CifarResNet(32, norm=norm, zero_init=zero_init)


def cifar_resnet44(*, norm: Norm = nn.BatchNorm2d, zero_init: bool = False) -> CifarResNet:
    """Return the residual network of 44 layers for CIFAR."""
    return CifarResNet(44, norm=norm, zero_init=zero_init)


def cifar_resnet56(*, norm: Norm = nn.BatchNorm2d, zero_init: bool = False) -> CifarResNet:
    """Return the residual network of 56 layers for CIFAR."""
    return CifarResNet(56, norm=norm, zero_init=zero_init)


def cifar_resnet110(*, norm: Norm = nn.BatchNorm2d, zero_init: bool = False) -> CifarResNet:
    """Return the residual network of 110 layers for CIFAR."""
    return CifarResNet(110, norm=norm, zero_init=zero_init)


def cifar_plain20(*, norm: Norm = nn.BatchNorm2d) -> CifarResNet:
    """Return the network of 20 layers for CIFAR without short cuts."""
    return CifarResNet(20, short_cut="none", norm=norm)


def cifar_plain56(*, norm: Norm = nn.BatchNorm2d) -> CifarResNet:
    """Return the network of 56 layers for CIFAR without short cuts, which learns worse than that of 20."""
    return CifarResNet(56, short_cut="none", norm=norm)


def wrn16_8(*, norm: Norm = nn.BatchNorm2d, dropout: float = 0.0, zero_init: bool = False) -> WideResNet:
    """Return WRN-16-8."""
    return WideResNet(16, 8, norm=norm, dropout=dropout, zero_init=zero_init)


def wrn28_10(*, norm: Norm = nn.BatchNorm2d, dropout: float = 0.0, zero_init: bool = False) -> WideResNet:
    """Return WRN-28-10."""
    return WideResNet(28, 10, norm=norm, dropout=dropout, zero_init=zero_init)


def wrn40_4(*, norm: Norm = nn.BatchNorm2d, dropout: float = 0.0, zero_init: bool = False) -> WideResNet:
    """Return WRN-40-4."""
    return WideResNet(40, 4, norm=norm, dropout=dropout, zero_init=zero_init)
