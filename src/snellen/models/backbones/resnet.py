"""ResNet-18 to 152 and their plain twins, with the keys of torchvision's networks less the classifier."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.initial import he_fan_out
from snellen.models.backbones.resnet_blocks import BasicBlock, Block, BlockDesign, Bottleneck, resnet_stage
from snellen.nn import Norm, begin_as_identity, conv_norm, dilated_steps
from snellen.structures import FeatureSpec

__all__ = [
    "RESNET_DEPTHS",
    "ResNet",
    "plain18",
    "plain34",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
]

# Table 1 of the paper: blocks of each stage by the number of layers; from 50 on they are bottlenecks.
RESNET_DEPTHS: Mapping[int, tuple[int, int, int, int]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_STEM_CHANNELS = 64
_STEM_STRIDE = 4  # with its pool
_STAGE_WIDTHS = (64, 128, 256, 512)  # table 1 of the paper
_STAGE_STRIDES = (1, 2, 2, 2)


class ResNet(Backbone):
    """A residual network without its classifier.

    Args:
        block: The kind of block.
        depths: Number of blocks of each stage; fewer than four stages make a shorter network (C4 detectors
            keep the last one for their regions).
        norm: Makes a norm layer from the number of channels.
        design: What is changed in every block.
        output_stride: Greatest stride of the maps, 4, 8, 16 or 32: stages beyond it are dilated. None for 32.
        zero_init: Let every block begin as its short cut.

    Attributes:
        features: ``c1`` (after the stem's activation, stride 2) to ``c5`` (stride 32, or ``output_stride``).

    Raises:
        ConfigError: If no stage ends at ``output_stride``.

    Source:
        He et al. 2015, table 1, https://arxiv.org/abs/1512.03385; dilation: see ``dilated_steps``; zeros: Goyal et
        al. 2017, section 5.1, https://arxiv.org/abs/1706.02677.
    """

    def __init__(
        self,
        block: Block,
        depths: Sequence[int],
        *,
        norm: Norm = nn.BatchNorm2d,
        design: BlockDesign | None = None,
        output_stride: int | None = None,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _STEM_CHANNELS, 7, 2, 3, bias=False)
        self.bn1 = norm(_STEM_CHANNELS)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        features = [FeatureSpec(name="c1", channels=_STEM_CHANNELS, stride=2)]
        channels, total_stride = _STEM_CHANNELS, _STEM_STRIDE
        steps = dilated_steps(_STAGE_STRIDES[: len(depths)], start=_STEM_STRIDE, output_stride=output_stride)
        for number, (depth, width, step) in enumerate(zip(depths, _STAGE_WIDTHS, steps, strict=False), 1):
            stage = resnet_stage(block, channels, width, num_blocks=depth, stride=step, norm=norm, design=design)
            self.add_module(f"layer{number}", stage)
            channels, total_stride = width * block.expansion, total_stride * step.stride
            features.append(FeatureSpec(name=f"c{number + 1}", channels=channels, stride=total_stride))
        self.features = tuple(features)
        he_fan_out(self)
        if zero_init:
            begin_as_identity(self)

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


def resnet18(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNet:
    """Return ResNet-18."""
    return ResNet(BasicBlock, RESNET_DEPTHS[18], norm=norm, output_stride=output_stride, zero_init=zero_init)


def resnet34(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNet:
    """Return ResNet-34."""
    return ResNet(BasicBlock, RESNET_DEPTHS[34], norm=norm, output_stride=output_stride, zero_init=zero_init)


def resnet50(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNet:
    """Return ResNet-50."""
    return ResNet(Bottleneck, RESNET_DEPTHS[50], norm=norm, output_stride=output_stride, zero_init=zero_init)


def resnet101(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNet:
    """Return ResNet-101."""
    return ResNet(Bottleneck, RESNET_DEPTHS[101], norm=norm, output_stride=output_stride, zero_init=zero_init)


def resnet152(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNet:
    """Return ResNet-152."""
    return ResNet(Bottleneck, RESNET_DEPTHS[152], norm=norm, output_stride=output_stride, zero_init=zero_init)


def plain18(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None) -> ResNet:
    """Return ResNet-18 without its short cuts (section 3.3, "plain network"), which hold 173,824 numbers.

    Those are the projections; the paper's ResNet-18 of table 2 has none either, as it pads with zeros.
    """
    return ResNet(BasicBlock, RESNET_DEPTHS[18], norm=norm, design=_PLAIN, output_stride=output_stride)


def plain34(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None) -> ResNet:
    """Return ResNet-34 without its short cuts; see ``plain18``."""
    return ResNet(BasicBlock, RESNET_DEPTHS[34], norm=norm, design=_PLAIN, output_stride=output_stride)


_PLAIN = BlockDesign(short_cut="none")
