"""From the last map of a backbone to numbers for each image; a builder takes the map's feature and how many."""

from collections.abc import Callable, Mapping
from typing import Literal, get_args

from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.errors import ConfigError, did_you_mean
from snellen.models.backbones import FcPair, fc_pair_names
from snellen.nn.content import content_grid, content_max, content_mean
from snellen.structures import FeatureSpec

__all__ = ["ClassMapHead", "FcHead", "GlobalPooling", "Head", "HeadBuilder", "MeanHead"]

GlobalPooling = Literal["mean", "max", "mean_max"]

_INITIAL_SPREAD = 0.01  # of the last layer; torchvision's VGG
_AWAKE = 1.0  # first bias of class maps: a map that is nowhere above 0 would get no gradient


class Head(nn.Module):
    """From a map to numbers for each image.

    Attributes:
        foreign_names: Pairs of a regular expression and its replacement that turn the keys of published weights into
            those of the head.
    """

    foreign_names: tuple[tuple[str, str], ...] = ()

    def forward(
        self, features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch num_outputs"]:
        """Return the numbers of each image, to which the first ``cells`` rows and columns of the map belong."""
        raise NotImplementedError

    @property
    def bias(self) -> Tensor | None:
        """What the last layer adds to each number, or None where nothing is added."""
        return None

    def allow_negative(self) -> None:
        """Let the numbers be of either sign, where the paper's head holds them above 0."""


HeadBuilder = Callable[[FeatureSpec, int], Head]


class MeanHead(Head):
    """Global pooling and a linear layer: the mean of each channel, as networks are published, or its maximum.

    It is taken over each image's own content, so padding does not dilute it. The maximum answers to the one place where
    something shows most, however small it is; the mean to how much of the image shows it.

    Args:
        feature: The map that is read.
        num_outputs: Numbers for each image.
        dropout: Probability of dropping a channel before the linear layer, in training.
        pooling: ``mean``, ``max``, or ``mean_max``, half of each; weights are the same for all.

    Raises:
        ConfigError: If there is no such pooling.

    Source:
        Mean: He et al. 2015, section 3.3, https://arxiv.org/abs/1512.03385; Szegedy et al. 2014, section 5,
        https://arxiv.org/abs/1409.4842. Maximum: Oquab et al. 2015, section 3; half of each is timm's ``avgmax``.
    """

    # The classifiers of torchvision's and timm's networks, and what this head was called before.
    foreign_names = ((r"^(?:fc|classifier(?:\.1)?|last_linear|head)\.(weight|bias)$", r"linear.\1"),)

    def __init__(
        self, feature: FeatureSpec, num_outputs: int, *, dropout: float = 0.0, pooling: GlobalPooling = "mean"
    ) -> None:
        super().__init__()
        if pooling not in _POOLED:
            known = ", ".join(get_args(GlobalPooling))
            raise ConfigError(f"pooling must be one of {known}; got {pooling!r}.{did_you_mean(str(pooling), _POOLED)}")
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(feature.channels, num_outputs)

    def forward(
        self, features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch num_outputs"]:
        """Return a linear function of what is pooled over each image's own cells."""
        result: Tensor = self.linear(self.dropout(_POOLED[self.pooling](features, cells)))
        return result

    @property
    def bias(self) -> Tensor:
        """What the linear layer adds."""
        return self.linear.bias


def _mean_and_max(
    features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
) -> Float[Tensor, "batch channels"]:
    return (content_mean(features, cells) + content_max(features, cells)) / 2


_POOLED: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": content_mean,
    "max": content_max,
    "mean_max": _mean_and_max,
}


class FcHead(Head):
    """Three fully connected layers on a map of fixed size, which AlexNet, ZFNet and VGG end in.

    A map of another size is averaged over the bins of a grid first, as torchvision does, so that images of any size
    can be read.

    Args:
        feature: The map that is read.
        num_outputs: Numbers for each image.
        pooled: Rows and columns that the first layer reads: ``VGG_POOLED`` or ``ALEXNET_POOLED``.
        family: Whose keys are read, ``"vgg"`` or ``"alexnet"`` of torchvision.
        width: Of the two hidden layers.
        dropout: Share of their values that training sets to zero.
        initial_bias: Of the two hidden layers.

    Source:
        Krizhevsky et al. 2012, sections 3.5 and 4.2; Simonyan & Zisserman 2014, table 1,
        https://arxiv.org/abs/1409.1556.
    """

    def __init__(
        self,
        feature: FeatureSpec,
        num_outputs: int,
        *,
        pooled: int,
        family: str,
        width: int = 4096,
        dropout: float = 0.5,
        initial_bias: float = 0.0,
    ) -> None:
        super().__init__()
        self.pooled = pooled
        self.foreign_names = (*fc_pair_names(family, "pair."), (r"^classifier\.6\.", "last."))
        self.pair = FcPair(feature.channels * pooled**2, width=width, dropout=dropout)
        for layer in (self.pair.fc6, self.pair.fc7):
            nn.init.constant_(layer.bias, initial_bias)
        self.last = nn.Linear(self.pair.out_features, num_outputs)
        nn.init.normal_(self.last.weight, std=_INITIAL_SPREAD)
        nn.init.zeros_(self.last.bias)

    def forward(
        self, features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch num_outputs"]:
        """Return fc8 of the grid of each image's own cells."""
        result: Tensor = self.last(self.pair(content_grid(features, cells, self.pooled)))
        return result

    @property
    def bias(self) -> Tensor:
        """What fc8 adds."""
        return self.last.bias


class ClassMapHead(Head):
    """A map for each class by a 1×1 convolution, a ReLU, and the mean of each map: no fully connected layer.

    Args:
        feature: The map that is read.
        num_outputs: Numbers for each image.
        dropout: Probability of dropping a value of the map that is read, in training.

    Source:
        Lin et al. 2013 (Network in Network), sections 3.2 and 4.1, https://arxiv.org/abs/1312.4400.
    """

    def __init__(self, feature: FeatureSpec, num_outputs: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.class_maps = nn.Conv2d(feature.channels, num_outputs, 1)
        self.relu: nn.Module = nn.ReLU(inplace=True)

    def forward(
        self, features: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch num_outputs"]:
        """Return the mean of each class's map over each image's own cells."""
        return content_mean(self.relu(self.class_maps(self.dropout(features))), cells)

    @property
    def bias(self) -> Tensor | None:
        """What the convolution adds."""
        return self.class_maps.bias

    def allow_negative(self) -> None:
        """Leave the ReLU out."""
        self.relu = nn.Identity()
