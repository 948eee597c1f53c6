"""DenseNet-121 to 201, which read the weights of torchvision's networks less the classifier."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from snellen.errors import ConfigError
from snellen.models.backbones.backbone import Backbone
from snellen.models.backbones.initial import he_fan_out
from snellen.nn import Norm, Step, conv_norm, dilated_steps
from snellen.structures import FeatureSpec

__all__ = ["DenseBlock", "DenseLayer", "DenseNet", "Transition", "densenet"]

# Table 1 of the paper: growth rate, depth of the stem, layers of each block.
_VARIANTS: Mapping[int, tuple[int, int, tuple[int, int, int, int]]] = {
    121: (32, 64, (6, 12, 24, 16)),
    161: (48, 96, (6, 12, 36, 24)),
    169: (32, 64, (6, 12, 32, 32)),
    201: (32, 64, (6, 12, 48, 32)),
}
_BOTTLENECK = 4  # times the growth rate, behind the 1×1 convolution; section 3
_COMPRESSION = 0.5  # of a transition; section 3
_STEM_STRIDE = 4  # with its pool


class DenseLayer(nn.Module):
    """Norm, ReLU, 1×1 and norm, ReLU, 3×3 convolution on everything that the block has made so far.

    Args:
        in_channels: Depth of what was made so far.
        growth: Channels that are added.
        dilation: Of the 3×3 convolution.
        norm: Makes the norm layer from the number of channels.
        recompute: Let the backward pass make the joined and normalised maps anew, so that they need not be kept. Their
            number grows with the square of the layers in a block, that of the maps themselves with the layers.

    Source:
        Huang et al. 2016, section 3 (DenseNet-BC), https://arxiv.org/abs/1608.06993; recomputation: Pleiss et al.
        2017, section 3, https://arxiv.org/abs/1707.06990.
    """

    def __init__(self, in_channels: int, growth: int, *, dilation: int, norm: Norm, recompute: bool) -> None:
        super().__init__()
        inner = _BOTTLENECK * growth
        self.recompute = recompute
        self.norm1 = norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.norm2 = norm(inner)
        self.conv2 = nn.Conv2d(inner, growth, 3, 1, dilation, dilation, bias=False)

    def forward(self, maps: Sequence[Float[Tensor, "batch _ rows columns"]]) -> Float[Tensor, "batch _ rows columns"]:
        """Return the new channels."""
        if self.recompute and torch.is_grad_enabled():
            inner = checkpoint(self._reduced, *maps, use_reentrant=False, context_fn=self._contexts)
        else:
            inner = self._reduced(*maps)
        result: Tensor = self.conv2(functional.relu(inner, inplace=True))
        return result

    def _reduced(self, *maps: Tensor) -> Tensor:
        joined = torch.cat(maps, dim=1)
        return conv_norm(self.conv1, self.norm2, functional.relu(self.norm1(joined), inplace=True))

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), self._statistics_kept()

    @contextmanager
    def _statistics_kept(self) -> Iterator[None]:
        """What is computed a second time must not be counted a second time."""
        norms = [module for module in (self.norm1, self.norm2) if isinstance(module, nn.BatchNorm2d)]
        before = [(module.momentum, module.num_batches_tracked) for module in norms]
        for module in norms:
            module.momentum, module.num_batches_tracked = 0.0, None
        try:
            yield
        finally:
            for module, (momentum, count) in zip(norms, before, strict=True):
                module.momentum, module.num_batches_tracked = momentum, count


class DenseBlock(nn.Module):
    """Layers each of which reads the input and what all layers before it have made.

    Args:
        in_channels: Depth of the input.
        num_layers: At least 1.
        growth: Channels that each layer adds.
        dilation: Of their 3×3 convolutions.
        norm: Makes the norm layer from the number of channels.
        recompute: See ``DenseLayer``.

    Attributes:
        out_channels: Depth of the output.

    Source:
        Huang et al. 2016, eq. 2, https://arxiv.org/abs/1608.06993.
    """

    def __init__(
        self, in_channels: int, num_layers: int, growth: int, *, dilation: int, norm: Norm, recompute: bool
    ) -> None:
        super().__init__()
        self.out_channels = in_channels + num_layers * growth
        for number in range(num_layers):
            layer = DenseLayer(in_channels + number * growth, growth, dilation=dilation, norm=norm, recompute=recompute)
            self.add_module(f"denselayer{number + 1}", layer)

    def forward(self, x: Float[Tensor, "batch _ rows columns"]) -> Float[Tensor, "batch _ rows columns"]:
        """Return the input and all that was made, joined."""
        maps = [x]
        for layer in self.children():
            maps.append(layer(maps))
        return torch.cat(maps, dim=1)


class Transition(nn.Module):
    """Norm, ReLU, a 1×1 convolution that thins the map out, and the mean of 2×2 cells where the size changes.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        stride: 2, or 1 to keep the size.
        norm: Makes the norm layer from the number of channels.

    Source:
        Huang et al. 2016, section 3, https://arxiv.org/abs/1608.06993. Differs: the pool rounds up, so that a map has
        ``ceil(size / stride)`` cells.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.pool = nn.Identity() if stride == 1 else nn.AvgPool2d(stride, stride, ceil_mode=True)

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the thinned map of ``ceil(size / stride)`` cells."""
        result: Tensor = self.pool(self.conv(functional.relu(self.norm(x))))
        return result


class DenseNet(Backbone):
    """A DenseNet-BC without its classifier.

    Args:
        growth: Channels that each layer adds.
        stem_channels: Depth of the first convolution.
        depths: Layers of each block.
        norm: Makes a norm layer from the number of channels.
        recompute: Spend time for memory in training; see ``DenseLayer``.
        output_stride: Greatest stride of the maps, 4, 8, 16 or 32: transitions beyond it do not pool, and the blocks
            behind them are dilated. None for 32.

    Attributes:
        features: ``c1`` (the stem's activation) to ``c5``. The joined maps of a block are handed on as they are;
            ``c5`` is normalised and activated, as the classifier reads it.

    Raises:
        ConfigError: If no block ends at ``output_stride``.

    Source:
        Huang et al. 2016, table 1, https://arxiv.org/abs/1608.06993; dilation: Yang et al. 2018 (DenseASPP), section
        4.1, CVPR.
    """

    # torchvision calls the layers "features", which is the name of the contract here; its first files have dots
    # between kind and number.
    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"^features\.(denseblock\d+\.denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2."),
        (r"^features\.", ""),
    )

    def __init__(
        self,
        growth: int,
        stem_channels: int,
        depths: Sequence[int],
        *,
        norm: Norm = nn.BatchNorm2d,
        recompute: bool = False,
        output_stride: int | None = None,
    ) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, stem_channels, 7, 2, 3, bias=False)
        self.norm0 = norm(stem_channels)
        self.relu0 = nn.ReLU(inplace=True)
        self.pool0 = nn.MaxPool2d(3, 2, 1)
        features = [FeatureSpec(name="c1", channels=stem_channels, stride=2)]
        channels, total_stride = stem_channels, _STEM_STRIDE
        strides = (1, *(2 for _ in depths[1:]))
        steps: Sequence[Step] = dilated_steps(strides, start=_STEM_STRIDE, output_stride=output_stride)
        for number, (depth, step) in enumerate(zip(depths, steps, strict=True), 1):
            if number > 1:
                thinned = int(channels * _COMPRESSION)
                self.add_module(f"transition{number - 1}", Transition(channels, thinned, stride=step.stride, norm=norm))
                channels, total_stride = thinned, total_stride * step.stride
            block = DenseBlock(channels, depth, growth, dilation=step.dilation, norm=norm, recompute=recompute)
            self.add_module(f"denseblock{number}", block)
            channels = block.out_channels
            features.append(FeatureSpec(name=f"c{number + 1}", channels=channels, stride=total_stride))
        self.norm5 = norm(channels)
        self.num_blocks = len(depths)
        self.features = tuple(features)
        he_fan_out(self)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` … by name."""
        maps = {"c1": self.relu0(conv_norm(self.conv0, self.norm0, x))}
        x = self.pool0(maps["c1"])
        for number in range(1, self.num_blocks + 1):
            if number > 1:
                x = self.get_submodule(f"transition{number - 1}")(x)
            x = self.get_submodule(f"denseblock{number}")(x)
            maps[f"c{number + 1}"] = x
        maps[f"c{self.num_blocks + 1}"] = functional.relu(self.norm5(x))
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        stages: dict[str, Sequence[nn.Module]] = {"c1": (self.conv0, self.norm0)}
        for number, spec in enumerate(self.features[1:], 1):
            before = (self.get_submodule(f"transition{number - 1}"),) if number > 1 else ()
            behind = (self.norm5,) if number == self.num_blocks else ()
            stages[spec.name] = (*before, self.get_submodule(f"denseblock{number}"), *behind)
        return stages


def densenet(
    layers: int, *, norm: Norm = nn.BatchNorm2d, recompute: bool = False, output_stride: int | None = None
) -> DenseNet:
    """Return a published DenseNet.

    Args:
        layers: 121, 161, 169 or 201.
        norm: See ``DenseNet``.
        recompute: See ``DenseNet``.
        output_stride: See ``DenseNet``.

    Raises:
        ConfigError: If there is no such network, or no block ends at ``output_stride``.
    """
    if layers not in _VARIANTS:
        raise ConfigError(f"layers must be one of {', '.join(map(str, _VARIANTS))}; got {layers}.")
    growth, stem_channels, depths = _VARIANTS[layers]
    return DenseNet(growth, stem_channels, depths, norm=norm, recompute=recompute, output_stride=output_stride)
