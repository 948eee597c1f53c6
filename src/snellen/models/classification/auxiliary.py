"""The auxiliary heads of GoogLeNet and Inception v3."""

from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.models.classification.heads import Head
from snellen.nn import INCEPTION_EPS, InceptionConv, Norm, with_eps
from snellen.nn.content import content_grid, content_windows
from snellen.structures import FeatureSpec

__all__ = ["GoogLeNetAuxiliaryHead", "InceptionAuxiliaryHead"]

_POOLED = 4  # rows and columns of the map that GoogLeNet's fully connected layers read
_REDUCED = 128  # depth behind the 1×1 convolution, in both networks
_HIDDEN = 1024  # width of GoogLeNet's hidden layer
_WINDOW = 5  # side of the averages; their step is 3 on maps of 14 and 17 cells
_V3_POOLED = 5  # rows and columns that Inception v3's 5×5 convolution reads
_V3_WIDTH = 768
_SPREADS = (0.1, 0.01, 0.001)  # of the initial weights of conv0, conv1 and fc; torchvision's


class GoogLeNetAuxiliaryHead(Head):
    """Average, 1×1 convolution, a hidden layer with much dropout, a linear layer.

    Args:
        feature: The map that is read.
        num_outputs: Numbers for each image.
        number: 1 or 2, of torchvision's ``aux1`` or ``aux2``, whose weights are read.
        as_published: Averages over 5×5 with a step of 3, as in the paper; else those of torchvision, which overlap
            less.
        norm: Makes the norm layer; None for a bias, as published.
        dropout: Share of the hidden values that training sets to zero.

    Source:
        Szegedy et al. 2014, section 5, https://arxiv.org/abs/1409.4842.
    """

    def __init__(
        self,
        feature: FeatureSpec,
        num_outputs: int,
        *,
        number: int,
        as_published: bool,
        norm: Norm | None,
        dropout: float = 0.7,
    ) -> None:
        super().__init__()
        self.foreign_names = ((rf"^aux{number}\.(conv|fc1|fc2)\.", r"\1."),)
        self.as_published = as_published
        self.conv = InceptionConv(
            feature.channels, _REDUCED, norm=None if norm is None else with_eps(norm, INCEPTION_EPS)
        )
        self.fc1 = nn.Linear(_REDUCED * _POOLED**2, _HIDDEN)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(_HIDDEN, num_outputs)

    def forward(
        self, features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch num_outputs"]:
        """Return the numbers of each image."""
        if self.as_published:
            pooled = content_windows(features, cells, _POOLED, window=_WINDOW)
        else:
            pooled = content_grid(features, cells, _POOLED)
        hidden = self.relu(self.fc1(self.conv(pooled).flatten(1)))
        result: Tensor = self.fc2(self.dropout(hidden))
        return result

    @property
    def bias(self) -> Tensor:
        """What the last layer adds."""
        return self.fc2.bias


class InceptionAuxiliaryHead(Head):
    """Average, 1×1 convolution, a 5×5 convolution that covers what is left, a linear layer; with batch norm.

    Args:
        feature: The map that is read.
        num_outputs: Numbers for each image.
        norm: Makes the norm layers from the number of channels.

    Source:
        Szegedy et al. 2015, section 4 and figure 8, https://arxiv.org/abs/1512.00567; sizes as in torchvision's
        ``AuxLogits``, whose weights are read.
    """

    foreign_names = ((r"^AuxLogits\.", ""),)

    def __init__(self, feature: FeatureSpec, num_outputs: int, *, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        norm = with_eps(norm, INCEPTION_EPS)
        self.conv0 = InceptionConv(feature.channels, _REDUCED, norm=norm)
        self.conv1 = InceptionConv(_REDUCED, _V3_WIDTH, (_V3_POOLED, _V3_POOLED), norm=norm, padded=False)
        self.fc = nn.Linear(_V3_WIDTH, num_outputs)
        weights = (self.conv0.conv.weight, self.conv1.conv.weight, self.fc.weight)
        for weight, spread in zip(weights, _SPREADS, strict=True):
            nn.init.trunc_normal_(weight, std=spread, a=-2, b=2)

    def forward(
        self, features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch num_outputs"]:
        """Return the numbers of each image."""
        pooled = content_windows(features, cells, _V3_POOLED, window=_WINDOW)
        result: Tensor = self.fc(self.conv1(self.conv0(pooled)).flatten(1))
        return result

    @property
    def bias(self) -> Tensor:
        """What the last layer adds."""
        return self.fc.bias
