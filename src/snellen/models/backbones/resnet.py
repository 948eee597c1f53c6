"""ResNet-18 to 152, with the keys of torchvision's networks less the classifier."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones.backbone import Backbone
from snellen.nn import ConvNormAct, Norm, conv_norm
from snellen.structures import FeatureSpec

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ResNet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_stage",
]

_STEM_CHANNELS = 64
_STAGE_WIDTHS = (64, 128, 256, 512)  # table 1 of the paper
_STAGE_STRIDES = (1, 2, 2, 2)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a short cut.

    Args:
        in_channels: Depth of the input.
        width: Depth of the convolutions and of the output.
        stride: Step of the first convolution in pixels.
        norm: Makes the norm layer from the number of channels.

    Source:
        He et al. 2015, figure 5 left, https://arxiv.org/abs/1512.03385.
    """

    expansion = 1

    def __init__(self, in_channels: int, width: int, *, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn1 = norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = norm(width)
        self.downsample = _short_cut(in_channels, width, stride=stride, norm=norm)

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return ``relu(x + residual(x))``."""
        residual = self.relu(conv_norm(self.conv1, self.bn1, x))
        residual = conv_norm(self.conv2, self.bn2, residual)
        residual += x if self.downsample is None else self.downsample(x)
        return self.relu(residual)  # type: ignore[no-any-return]  # nn.Module's call is untyped


class Bottleneck(nn.Module):
    """1×1 down, 3×3 (which holds the stride), 1×1 up, and a short cut.

    Args:
        in_channels: Depth of the input.
        width: Depth of the 3×3 convolution; the output is four times as deep.
        stride: Step of the 3×3 convolution in pixels.
        norm: Makes the norm layer from the number of channels.

    Source:
        He et al. 2015, figure 5 right, https://arxiv.org/abs/1512.03385. Differs as torchvision does: the
        stride is in the 3×3 convolution ("ResNet v1.5").
    """

    expansion = 4

    def __init__(self, in_channels: int, width: int, *, stride: int, norm: Norm) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = norm(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _short_cut(in_channels, out_channels, stride=stride, norm=norm)

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return ``relu(x + residual(x))``."""
        residual = self.relu(conv_norm(self.conv1, self.bn1, x))
        residual = self.relu(conv_norm(self.conv2, self.bn2, residual))
        residual = conv_norm(self.conv3, self.bn3, residual)
        residual += x if self.downsample is None else self.downsample(x)
        return self.relu(residual)  # type: ignore[no-any-return]  # nn.Module's call is untyped


def _short_cut(in_channels: int, out_channels: int, *, stride: int, norm: Norm) -> ConvNormAct | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return ConvNormAct(in_channels, out_channels, kernel=1, stride=stride, norm=norm, activation=None)


Block = type[BasicBlock] | type[Bottleneck]


def resnet_stage(
    block: Block, in_channels: int, width: int, *, num_blocks: int, stride: int, norm: Norm = nn.BatchNorm2d
) -> nn.Sequential:
    """Return ``num_blocks`` blocks of which the first has the stride (C4 detectors use one as their head)."""
    blocks = [block(in_channels, width, stride=stride, norm=norm)]
    blocks += [block(width * block.expansion, width, stride=1, norm=norm) for _ in range(num_blocks - 1)]
    return nn.Sequential(*blocks)


class ResNet(Backbone):
    """A residual network without its classifier.

    Args:
        block: The kind of block.
        depths: Number of blocks of each stage; fewer than four stages make a shorter network (C4 detectors
            keep the last one for their regions).
        norm: Makes a norm layer from the number of channels.

    Attributes:
        features: ``c1`` (after the stem's activation, stride 2) to ``c5`` (stride 32).

    Source:
        He et al. 2015, table 1, https://arxiv.org/abs/1512.03385.
    """

    def __init__(self, block: Block, depths: Sequence[int], *, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _STEM_CHANNELS, 7, 2, 3, bias=False)
        self.bn1 = norm(_STEM_CHANNELS)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        features = [FeatureSpec(name="c1", channels=_STEM_CHANNELS, stride=2)]
        channels, total_stride = _STEM_CHANNELS, 4
        for number, (depth, width, stride) in enumerate(zip(depths, _STAGE_WIDTHS, _STAGE_STRIDES, strict=False), 1):
            stage = resnet_stage(block, channels, width, num_blocks=depth, stride=stride, norm=norm)
            self.add_module(f"layer{number}", stage)
            channels, total_stride = width * block.expansion, total_stride * stride
            features.append(FeatureSpec(name=f"c{number + 1}", channels=channels, stride=total_stride))
        self.features = tuple(features)
        _initialise(self)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … by name."""
        maps = {"c1": self.relu(conv_norm(self.conv1, self.bn1, x))}
        x = self.maxpool(maps["c1"])
        for number in range(1, len(self.features)):
            x = self.get_submodule(f"layer{number}")(x)
            maps[f"c{number + 1}"] = x
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        stages: dict[str, Sequence[nn.Module]] = {"c1": (self.conv1, self.bn1)}
        for number in range(1, len(self.features)):
            stages[f"c{number + 1}"] = (self.get_submodule(f"layer{number}"),)
        return stages


def _initialise(module: nn.Module) -> None:
    # As torchvision: He et al. 2015, https://arxiv.org/abs/1502.01852, fan out. Norms start at 1 and 0.
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def resnet18(*, norm: Norm = nn.BatchNorm2d) -> ResNet:
    """Return ResNet-18."""
    return ResNet(BasicBlock, (2, 2, 2, 2), norm=norm)


def resnet34(*, norm: Norm = nn.BatchNorm2d) -> ResNet:
    """Return ResNet-34."""
    return ResNet(BasicBlock, (3, 4, 6, 3), norm=norm)


def resnet50(*, norm: Norm = nn.BatchNorm2d) -> ResNet:
    """Return ResNet-50."""
    return ResNet(Bottleneck, (3, 4, 6, 3), norm=norm)


def resnet101(*, norm: Norm = nn.BatchNorm2d) -> ResNet:
    """Return ResNet-101."""
    return ResNet(Bottleneck, (3, 4, 23, 3), norm=norm)


def resnet152(*, norm: Norm = nn.BatchNorm2d) -> ResNet:
    """Return ResNet-152."""
    return ResNet(Bottleneck, (3, 8, 36, 3), norm=norm)
