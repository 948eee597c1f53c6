"""Darknet-19, Darknet-53 and the small bodies of YOLOv2 and YOLOv3, which read darknet's weights."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.models.backbones.backbone import Backbone
from snellen.models.darknet_files import DarknetLayer
from snellen.nn import Norm
from snellen.structures import FeatureSpec

__all__ = [
    "LEAKY_SLOPE",
    "Conv",
    "Darknet",
    "DarknetConv",
    "DarknetResidual",
    "Pool",
    "Residuals",
    "darknet19",
    "darknet53",
    "darknet_conv_layers",
    "darknet_tiny_v2",
    "darknet_tiny_v3",
]

LEAKY_SLOPE = 0.1  # of negative values; leaky_activate in darknet's activations.h


class DarknetConv(nn.Sequential):
    """``conv``, ``norm`` and ``activation``: darknet's convolution; the output has ``ceil(size / stride)`` cells.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        kernel: Odd size of the kernel in pixels.
        stride: Step in pixels.
        norm: Makes the norm layer from the number of channels; None for a bias in its place.

    Source:
        https://github.com/pjreddie/darknet (src/convolutional_layer.c). Differs: ``nn.BatchNorm2d`` adds 1e-5 to
        the variance, as darknet's kernels for GPUs do; its code for CPUs adds 1e-6 to the deviation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        norm: Norm | None = nn.BatchNorm2d,
    ) -> None:
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=norm is None)
        # As darknet: He et al. 2015, https://arxiv.org/abs/1502.01852, fan in, whatever the slope.
        nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
        layers: list[tuple[str, nn.Module]] = [("conv", conv)]
        if norm is not None:
            layers.append(("norm", norm(out_channels)))
        layers.append(("activation", nn.LeakyReLU(LEAKY_SLOPE, inplace=True)))
        super().__init__(OrderedDict(layers))


class DarknetResidual(nn.Module):
    """1×1 to half the depth, 3×3 back, and a short cut behind the activation.

    Source:
        Redmon & Farhadi 2018, table 1, https://arxiv.org/abs/1804.02767.
    """

    def __init__(self, channels: int, *, norm: Norm | None) -> None:
        super().__init__()
        self.conv1 = DarknetConv(channels, channels // 2, kernel=1, norm=norm)
        self.conv2 = DarknetConv(channels // 2, channels, norm=norm)

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the block's output."""
        residual: Tensor = self.conv2(self.conv1(x))
        return x + residual


class _SlowPool(nn.Module):
    """2×2 with stride 1 on a map that repeats its last row and column, so that it keeps its size."""

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the largest value of each window."""
        return functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), mode="replicate"), 2, 1)


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution in the table of a network."""

    channels: int
    kernel: int = 3
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Pool:
    """A 2×2 maximum in the table of a network; darknet pads its right and bottom, so sizes round up."""

    stride: int = 2


@dataclass(frozen=True, slots=True)
class Residuals:
    """A number of residual blocks in the table of a network."""

    count: int


Row = Conv | Pool | Residuals


class Darknet(Backbone):
    """A network of darknet's layers.

    Args:
        stages: The layers up to each feature; every stage doubles the stride.
        norm: Makes a norm layer from the number of channels; None for biases in its place.

    Attributes:
        features: ``c1`` (stride 2) and so on, one for each stage.
    """

    # Darknet trains on RGB in 0..1 and subtracts nothing.
    mean = (0.0, 0.0, 0.0)
    std = (1.0, 1.0, 1.0)

    def __init__(self, stages: Sequence[Sequence[Row]], *, norm: Norm | None = nn.BatchNorm2d) -> None:
        super().__init__()
        channels = 3
        features = []
        for number, rows in enumerate(stages, 1):
            layers: list[nn.Module] = []
            for row in rows:
                layers += _modules(row, channels, norm=norm)
                channels = row.channels if isinstance(row, Conv) else channels
            self.add_module(f"stage{number}", nn.Sequential(*layers))
            features.append(FeatureSpec(name=f"c{number}", channels=channels, stride=2**number))
        self.features = tuple(features)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … by name."""
        maps = {}
        for number, spec in enumerate(self.features, 1):
            x = self.get_submodule(f"stage{number}")(x)
            maps[spec.name] = x
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        return {spec.name: (self.get_submodule(f"stage{number}"),) for number, spec in enumerate(self.features, 1)}

    def darknet_layers(self) -> tuple[DarknetLayer, ...]:
        """Return the layers with weights in the order of the ``.cfg``."""
        return darknet_conv_layers(self)


def _modules(row: Row, channels: int, *, norm: Norm | None) -> list[nn.Module]:
    match row:
        case Conv():
            return [DarknetConv(channels, row.channels, kernel=row.kernel, stride=row.stride, norm=norm)]
        case Pool(stride=1):
            return [_SlowPool()]
        case Pool():
            return [nn.MaxPool2d(2, row.stride, ceil_mode=True)]
        case Residuals():
            return [DarknetResidual(channels, norm=norm) for _ in range(row.count)]


def darknet_conv_layers(module: nn.Module, prefix: str = "") -> tuple[DarknetLayer, ...]:
    """Return every ``DarknetConv`` of a module in the order of registration, for its ``darknet_layers``.

    Args:
        module: Registers its convolutions in the order of the ``.cfg``.
        prefix: Where the module lies in the one that lists the layers, with the dot.
    """
    return tuple(_listed(module.named_modules(), prefix))


def _listed(modules: Iterable[tuple[str, nn.Module]], prefix: str) -> Iterable[DarknetLayer]:
    for name, module in modules:
        if isinstance(module, DarknetConv):
            conv = module.get_submodule("conv")
            path = f"{prefix}{name}." if name else prefix
            yield DarknetLayer(
                name=f"{path}conv",
                shape=tuple(conv.weight.shape),  # type: ignore[arg-type]
                norm=f"{path}norm" if hasattr(module, "norm") else None,
                stride=conv.stride[0],  # type: ignore[index, arg-type]
            )


_DARKNET19 = (
    (Conv(32), Pool(), Conv(64)),
    (Pool(), Conv(128), Conv(64, 1), Conv(128)),
    (Pool(), Conv(256), Conv(128, 1), Conv(256)),
    (Pool(), Conv(512), Conv(256, 1), Conv(512), Conv(256, 1), Conv(512)),
    (Pool(), Conv(1024), Conv(512, 1), Conv(1024), Conv(512, 1), Conv(1024)),
)

_DARKNET53 = (
    (Conv(32), Conv(64, stride=2), Residuals(1)),
    (Conv(128, stride=2), Residuals(2)),
    (Conv(256, stride=2), Residuals(8)),
    (Conv(512, stride=2), Residuals(8)),
    (Conv(1024, stride=2), Residuals(4)),
)

_TINY = (
    (Conv(16), Pool(), Conv(32)),
    (Pool(), Conv(64)),
    (Pool(), Conv(128)),
    (Pool(), Conv(256)),
    (Pool(), Conv(512), Pool(1), Conv(1024)),
)


def darknet19(*, norm: Norm | None = nn.BatchNorm2d) -> Darknet:
    """Return Darknet-19 without its last 1×1 convolution; YOLOv2 taps ``c4``.

    Source:
        Redmon & Farhadi 2017, table 6, https://arxiv.org/abs/1612.08242; cfg/darknet19.cfg.
    """
    return Darknet(_DARKNET19, norm=norm)


def darknet53(*, norm: Norm | None = nn.BatchNorm2d) -> Darknet:
    """Return Darknet-53 without its classifier; YOLOv3 stands on ``c3``, ``c4`` and ``c5``.

    Source:
        Redmon & Farhadi 2018, table 1, https://arxiv.org/abs/1804.02767; cfg/darknet53.cfg.
    """
    return Darknet(_DARKNET53, norm=norm)


def darknet_tiny_v2(*, norm: Norm | None = nn.BatchNorm2d) -> Darknet:
    """Return the seven convolutions of tiny YOLOv2 before its head.

    Source:
        cfg/yolov2-tiny-voc.cfg of https://github.com/pjreddie/darknet, layers 0 to 12; no paper describes it.
    """
    return Darknet(_TINY, norm=norm)


def darknet_tiny_v3(*, norm: Norm | None = nn.BatchNorm2d) -> Darknet:
    """Return the seven convolutions of tiny YOLOv3 before its heads, which are those of tiny YOLOv2.

    Source:
        cfg/yolov3-tiny.cfg of https://github.com/pjreddie/darknet, layers 0 to 12; no paper describes it.
    """
    return Darknet(_TINY, norm=norm)
