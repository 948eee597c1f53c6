"""The maps that RetinaNet looks at."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.nn import FeaturePyramid, coarser_map
from snellen.structures import FeatureSpec

__all__ = ["RetinaPyramid"]


class RetinaPyramid(nn.Module):
    """A feature pyramid with two coarser maps over its last one, as torchvision's RetinaNet has it.

    ``FeaturePyramid`` with ``extra="p6p7"`` puts them on the backbone's last map instead, as in the paper and in
    torchvision's ``retinanet_resnet50_fpn_v2``.

    Args:
        inputs: The levels to use, finest first.
        out_channels: Depth of every output.

    Attributes:
        features: The outputs, finest first.

    Source:
        Lin et al. 2017 (RetinaNet), section 4, footnote 2. Differs: P6 comes from P5, not from C5.
    """

    features: tuple[FeatureSpec, ...]

    def __init__(self, inputs: Sequence[FeatureSpec], out_channels: int) -> None:
        super().__init__()
        self.pyramid = FeaturePyramid(inputs, out_channels)
        last = self.pyramid.features[-1]
        coarser = tuple(
            FeatureSpec(name=f"p{int(last.name[1:]) + step}", channels=out_channels, stride=last.stride * 2**step)
            for step in (1, 2)
        )
        self.features = (*self.pyramid.features, *coarser)
        self.extra_blocks = nn.ModuleDict(
            {spec.name: nn.Conv2d(out_channels, out_channels, 3, 2, 1) for spec in coarser}
        )
        for layer in self.extra_blocks.values():
            nn.init.kaiming_uniform_(layer.weight, a=1)  # type: ignore[arg-type]  # a convolution
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # with a bias

    def forward(self, features: Mapping[str, Float[Tensor, "batch _ _ _"]]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return one map per entry of ``self.features``, by name."""
        outputs: dict[str, Tensor] = self.pyramid(features)
        x = outputs[self.pyramid.features[-1].name]
        for number, (name, layer) in enumerate(self.extra_blocks.items()):
            x = coarser_map(layer, functional.relu(x) if number else x)
            outputs[name] = x
        return outputs
