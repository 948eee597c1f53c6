"""VGG-16 whose fully connected layers are convolutions, with the maps that FCN adds up."""

from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones.vgg import SsdVgg16
from snellen.nn import Norm
from snellen.structures import FeatureSpec

__all__ = ["FcnVgg16"]


class FcnVgg16(SsdVgg16):
    """VGG-16 as FCN makes it: fc6 is a 7×7 convolution, fc7 a 1×1, both with 4096 channels and dropout.

    Reads the state dict of torchvision's ``vgg16`` with all its layers.

    Args:
        norm: Makes a norm layer behind each 3×3 convolution from the number of channels; None, as in the paper, for
            none.
        dropout: Share of the channels' values that training sets to zero behind fc6 and fc7.

    Attributes:
        features: ``c3`` (pool3, 256 channels, stride 8), ``c4`` (pool4, 512 channels, stride 16) and ``c5`` (fc7,
            4096 channels, stride 32).

    Source:
        Long et al. 2015, sections 3.1 and 4, https://arxiv.org/abs/1411.4038. Differs: fc6 is padded, where the paper
        pads the image by 100 pixels and crops at the end; a map has ``ceil(size / stride)`` cells.
    """

    def __init__(self, *, norm: Norm | None = None, dropout: float = 0.5) -> None:
        super().__init__(atrous=False, norm=norm)
        pool3, pool4 = (end + 1 for end in self.fused_ends)
        self.ends = {"c3": pool3, "c4": pool4}
        self.features = (
            FeatureSpec(name="c3", channels=256, stride=8),
            FeatureSpec(name="c4", channels=512, stride=16),
            self.features[-1],
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps of ``features`` by name."""
        maps = self.convolved(x)
        x = self.dropout(self.relu(self.fc6(self.pool5(maps.pop("conv5")))))
        maps["c5"] = self.dropout(self.relu(self.fc7(x)))
        return maps
