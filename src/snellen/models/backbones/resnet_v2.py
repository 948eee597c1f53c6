"""ResNet v2: residual networks with nothing on the short cut, with the keys of timm's networks less the classifier."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.initial import he_fan_out
from snellen.models.backbones.resnet import RESNET_DEPTHS
from snellen.nn import Norm, PreActBasic, PreActBottleneck, Step, begin_as_identity, dilated_steps
from snellen.structures import FeatureSpec

__all__ = ["ResNetV2", "resnetv2_18", "resnetv2_34", "resnetv2_50", "resnetv2_101", "resnetv2_152"]

_STEM_CHANNELS = 64
_STEM_STRIDE = 4  # with its pool
_STAGE_WIDTHS = (64, 128, 256, 512)
_STAGE_STRIDES = (1, 2, 2, 2)

PreActBlock = type[PreActBasic] | type[PreActBottleneck]


class ResNetV2(Backbone):
    """A residual network of pre-activation blocks without its classifier.

    Args:
        block: The kind of block.
        depths: Number of blocks of each stage.
        norm: Makes a norm layer from the number of channels.
        output_stride: Greatest stride of the maps, 4, 8, 16 or 32: stages beyond it are dilated. None for 32.
        zero_init: Let every block begin as its short cut: the weights of its last convolution are 0.

    Attributes:
        features: ``c1`` (the stem's convolution, stride 2) to ``c5``. The sums of a stage are handed on as they are,
            not activated; ``c5`` is normalised and activated, as the classifier reads it.

    Raises:
        ConfigError: If no stage ends at ``output_stride``.

    Source:
        He et al. 2016, section 3 and appendix, https://arxiv.org/abs/1603.05027. Differs as timm does: the pool
        stands before the first norm and activation; for scales above 0 that is the same.
    """

    def __init__(
        self,
        block: PreActBlock,
        depths: Sequence[int],
        *,
        norm: Norm = nn.BatchNorm2d,
        output_stride: int | None = None,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential()
        self.stem.add_module("conv", nn.Conv2d(3, _STEM_CHANNELS, 7, 2, 3, bias=False))
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.stages = nn.Sequential()
        features = [FeatureSpec(name="c1", channels=_STEM_CHANNELS, stride=2)]
        channels, total_stride = _STEM_CHANNELS, _STEM_STRIDE
        steps = dilated_steps(_STAGE_STRIDES[: len(depths)], start=_STEM_STRIDE, output_stride=output_stride)
        for number, (depth, width, step) in enumerate(zip(depths, _STAGE_WIDTHS, steps, strict=False)):
            self.stages.add_module(str(number), _Stage(block, channels, width, num_blocks=depth, step=step, norm=norm))
            channels, total_stride = width * block.expansion, total_stride * step.stride
            features.append(FeatureSpec(name=f"c{number + 2}", channels=channels, stride=total_stride))
        self.norm = norm(channels)
        self.relu = nn.ReLU()
        self.features = tuple(features)
        he_fan_out(self)
        if zero_init:
            begin_as_identity(self)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … by name."""
        maps = {"c1": self.stem(x)}
        x = self.maxpool(maps["c1"])
        for spec, stage in zip(self.features[1:], self.stages, strict=False):
            x = stage(x)
            maps[spec.name] = x
        if len(self.features) > len(self.stages):
            maps[self.features[-1].name] = self.relu(self.norm(x))
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        stages: dict[str, Sequence[nn.Module]] = {"c1": (self.stem,)}
        for spec, stage in zip(self.features[1:], self.stages, strict=False):
            stages[spec.name] = (stage,)
        if len(self.features) > len(self.stages):
            stages[self.features[-1].name] = (self.stages[-1], self.norm)
        return stages

    def adapted_weights(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a file, timm's classifier, a 1×1 convolution, as a linear layer."""
        adapted = dict(tensors)
        for kind in ("weight", "bias"):
            value = adapted.pop(f"head.fc.{kind}", None)
            if value is not None:
                adapted[f"fc.{kind}"] = value.flatten(1) if value.dim() == 4 else value
        return adapted


class _Stage(nn.Module):
    def __init__(
        self, block: PreActBlock, in_channels: int, width: int, *, num_blocks: int, step: Step, norm: Norm
    ) -> None:
        super().__init__()
        blocks = [block(in_channels, width, step=step, norm=norm)]
        channels = width * block.expansion
        blocks += [block(channels, width, step=step.following, norm=norm) for _ in range(num_blocks - 1)]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.blocks(x)
        return result


def resnetv2_18(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNetV2:
    """Return ResNet-18 of pre-activation blocks."""
    return ResNetV2(PreActBasic, RESNET_DEPTHS[18], norm=norm, output_stride=output_stride, zero_init=zero_init)


def resnetv2_34(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNetV2:
    """Return ResNet-34 of pre-activation blocks."""
    return ResNetV2(PreActBasic, RESNET_DEPTHS[34], norm=norm, output_stride=output_stride, zero_init=zero_init)


def resnetv2_50(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNetV2:
    """Return ResNet-50 of pre-activation blocks."""
    return ResNetV2(PreActBottleneck, RESNET_DEPTHS[50], norm=norm, output_stride=output_stride, zero_init=zero_init)


def resnetv2_101(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNetV2:
    """Return ResNet-101 of pre-activation blocks."""
    return ResNetV2(PreActBottleneck, RESNET_DEPTHS[101], norm=norm, output_stride=output_stride, zero_init=zero_init)


def resnetv2_152(*, norm: Norm = nn.BatchNorm2d, output_stride: int | None = None, zero_init: bool = False) -> ResNetV2:
    """Return ResNet-152 of pre-activation blocks."""
    return ResNetV2(PreActBottleneck, RESNET_DEPTHS[152], norm=norm, output_stride=output_stride, zero_init=zero_init)
