"""The feature pyramid."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import InputError
from snellen.structures import FeatureSpec

__all__ = ["FeaturePyramid", "coarser_map"]


class FeaturePyramid(nn.Module):
    """Brings every level of a backbone to one depth and lets the deep levels speak to the shallow ones.

    Keys and results are those of ``torchvision.ops.FeaturePyramidNetwork``.

    Args:
        inputs: The levels to use, finest first; each half as fine as the one before. ``forward`` picks them
            by name from what the backbone returns.
        out_channels: Depth of every output.
        extra: ``"pool"`` adds one level by taking every second pixel of the last one (Faster R-CNN);
            ``"p6p7"`` adds two by strided convolutions over the last input (RetinaNet); None adds none.

    Attributes:
        features: The outputs, finest first: ``"p2"`` stands on ``"c2"``.

    Raises:
        InputError: If there are no inputs.

    Source:
        Lin et al. 2017, https://arxiv.org/abs/1612.03144; p6 and p7: Lin et al. 2017,
        https://arxiv.org/abs/1708.02002, section 4.
    """

    features: tuple[FeatureSpec, ...]

    def __init__(
        self,
        inputs: Sequence[FeatureSpec],
        out_channels: int,
        *,
        extra: Literal["pool", "p6p7"] | None = None,
    ) -> None:
        super().__init__()
        if not inputs:
            raise InputError(
                "FeaturePyramid needs at least one input level; got none. Pass levels of backbone.features."
            )
        self.inputs = tuple(inputs)
        self.extra = extra
        self.inner_blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(level.channels, out_channels, 1)) for level in self.inputs
        )
        self.layer_blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(out_channels, out_channels, 3, padding=1)) for _ in self.inputs
        )
        if extra == "p6p7":
            self.extra_blocks = nn.ModuleDict(
                {
                    "p6": nn.Conv2d(self.inputs[-1].channels, out_channels, 3, 2, 1),
                    "p7": nn.Conv2d(out_channels, out_channels, 3, 2, 1),
                }
            )
        self.features = _output_features(self.inputs, out_channels, {"pool": 1, "p6p7": 2, None: 0}[extra])
        _initialise(self)

    def forward(self, features: Mapping[str, Float[Tensor, "batch _ _ _"]]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return one map per entry of ``self.features``, by name."""
        maps = [features[level.name] for level in self.inputs]
        top_down = self.inner_blocks[-1](maps[-1])
        outputs = [self.layer_blocks[-1](top_down)]
        for index in range(len(maps) - 2, -1, -1):
            lateral = self.inner_blocks[index](maps[index])
            top_down = lateral + functional.interpolate(top_down, size=lateral.shape[-2:], mode="nearest")
            outputs.insert(0, self.layer_blocks[index](top_down))
        if self.extra == "pool":
            outputs.append(functional.max_pool2d(outputs[-1], kernel_size=1, stride=2))
        elif self.extra == "p6p7":
            p6 = coarser_map(self.extra_blocks["p6"], maps[-1])
            outputs += [p6, coarser_map(self.extra_blocks["p7"], functional.relu(p6))]
        return {spec.name: output for spec, output in zip(self.features, outputs, strict=True)}


def coarser_map(layer: nn.Module, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch _ _ _"]:
    """Return what a strided 3×3 convolution makes of a map, in float32 where the map is one cell wide.

    On a CPU the gradient of the weights of such a convolution is not initialised in bf16 (oneDNN in torch 2.14),
    and now and then is not a number; small images bring a pyramid there.
    """
    if x.shape[-1] > 1 or x.device.type != "cpu":
        return layer(x)  # type: ignore[no-any-return]  # nn.Module's call is untyped
    with torch.autocast("cpu", enabled=False):
        return layer(x.to(torch.promote_types(x.dtype, torch.float32)))  # type: ignore[no-any-return]


def _output_features(inputs: Sequence[FeatureSpec], channels: int, num_extra: int) -> tuple[FeatureSpec, ...]:
    levels = [(int(level.name[1:]), level.stride) for level in inputs]
    last_number, last_stride = levels[-1]
    levels += [(last_number + step, last_stride * 2**step) for step in range(1, num_extra + 1)]
    return tuple(FeatureSpec(name=f"p{number}", channels=channels, stride=stride) for number, stride in levels)


def _initialise(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, a=1)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
