"""LeNet-5 up to its second subsampling: as it was published, and as it is usually rebuilt."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.models.backbones.backbone import Backbone
from snellen.nn import Norm
from snellen.structures import FeatureSpec

__all__ = ["LeNet", "ScaledTanh", "TableConv2d", "TrainableSubsampling", "lenet5", "lenet5_modern", "spread_by_fan_in"]

# Table I: the maps of S2 that each map of C3 reads.
_TABLE = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip
_KERNEL = 5  # pixels
_WIDTHS = (6, 16)  # of C1 and C3
_AMPLITUDE, _SLOPE = 1.7159, 2 / 3  # of the squashing function; appendix A: then f(1) = 1 and f(-1) = -1
_FAN_IN_SPREAD = 2.4  # initial weights are uniform in ± this over the number of inputs; section III.B
_LEAST_SIZE = 13  # px; below it S4 of the network that does not pad has no cell


class ScaledTanh(nn.Module):
    """``1.7159 · tanh(2/3 · x)``.

    Source:
        LeCun et al. 1998, eq. 6 and appendix A.
    """

    def forward(self, x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Return the squashed values."""
        return _AMPLITUDE * torch.tanh(_SLOPE * x)


class TrainableSubsampling(nn.Module):
    """The sum of 2×2 cells times a coefficient of the channel, plus a bias of the channel.

    Args:
        channels: Of the map.

    Source:
        LeCun et al. 1998, section II.B (S2 and S4). Differs: an odd side gives a last cell of what is left.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.uniform_(self.weight, -_FAN_IN_SPREAD / 4, _FAN_IN_SPREAD / 4)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels rows columns"]:
        """Return the map of size ``ceil(size / 2)``."""
        x = functional.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
        sums = 4 * functional.avg_pool2d(x, 2)
        return sums * self.weight[:, None, None] + self.bias[:, None, None]


class TableConv2d(nn.Module):
    """A convolution whose maps read some of the maps before, as a table says.

    Args:
        table: For each map of the output, the maps of the input that it reads.
        kernel: Side in pixels.
        padding: Pixels on every side.

    Source:
        LeCun et al. 1998, section II.B and table I (C3).
    """

    outputs: Tensor
    inputs: Tensor

    def __init__(self, table: Sequence[Sequence[int]], *, kernel: int, padding: int = 0) -> None:
        super().__init__()
        self.shape = (len(table), 1 + max(number for row in table for number in row), kernel, kernel)
        self.padding = padding
        pairs = [(output, number) for output, row in enumerate(table) for number in row]
        outputs, inputs = torch.tensor(pairs).unbind(dim=1)
        self.register_buffer("outputs", outputs, persistent=False)
        self.register_buffer("inputs", inputs, persistent=False)
        self.weight = nn.Parameter(torch.empty(len(pairs), kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(len(table)))
        bounds = torch.tensor([_FAN_IN_SPREAD / (len(table[output]) * kernel**2) for output, _ in pairs])
        with torch.no_grad():
            self.weight.uniform_(-1, 1).mul_(bounds[:, None, None])

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        """Return the maps of the output."""
        weight = self.weight.new_zeros(self.shape).index_put((self.outputs, self.inputs), self.weight)
        return functional.conv2d(x, weight, self.bias, padding=self.padding)

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"{self.shape[1]}, {self.shape[0]}, kernel={self.shape[2]}, {len(self.outputs)} connections"


class LeNet(Backbone):
    """C1, S2, C3 and S4 of LeNet-5; the layers behind them are the head's.

    The network reads grey values: the mean of R, G and B.

    Args:
        modern: False for the paper's network: subsampling that is learned, a squashing function, C3 after a table.
            True for the one that is usually rebuilt under its name: pools of maxima, ReLU, C3 reads all maps.
        padded: True pads the convolutions, so that a map has ``ceil(size / stride)`` cells; False does not, as
            published: at 32 px S4 is 5×5. The weights are the same.
        norm: Makes a norm layer behind C1 and C3 from the number of channels; None, as published, for none.

    Attributes:
        features: ``c1`` (C3, 16 channels, stride 2) and ``c2`` (S4, 16 channels, stride 4).

    Source:
        LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.B and figure 2.
    """

    # White paper is -0.1 and ink 1.175 (section II.B); MNIST's bytes say how much ink there is.
    mean = (0.1 / 1.275,) * 3
    std = (1 / 1.275,) * 3

    def __init__(self, *, modern: bool = False, padded: bool = True, norm: Norm | None = None) -> None:
        super().__init__()
        first, second = _WIDTHS
        padding = _KERNEL // 2 if padded else 0
        self.c1 = nn.Conv2d(1, first, _KERNEL, padding=padding)
        self.s2: nn.Module
        self.c3: nn.Module
        self.s4: nn.Module
        if modern:
            self.s2, self.s4 = (nn.MaxPool2d(2, 2, ceil_mode=True) for _ in range(2))
            self.c3 = nn.Conv2d(first, second, _KERNEL, padding=padding)
            self.bend: nn.Module = nn.ReLU()
        else:
            self.s2, self.s4 = TrainableSubsampling(first), TrainableSubsampling(second)
            self.c3 = TableConv2d(_TABLE, kernel=_KERNEL, padding=padding)
            self.bend = ScaledTanh()
            spread_by_fan_in(self.c1)
        self.norm1 = nn.Identity() if norm is None else norm(first)
        self.norm3 = nn.Identity() if norm is None else norm(second)
        self.modern = modern
        self.least_size = 1 if padded else _LEAST_SIZE
        self.features = (
            FeatureSpec(name="c1", channels=second, stride=2),
            FeatureSpec(name="c2", channels=second, stride=4),
        )

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps ``c1`` and ``c2`` by name."""
        x = self.bend(self.norm1(self.c1(x.mean(dim=1, keepdim=True))))
        fine = self.bend(self.norm3(self.c3(self._subsampled(self.s2, x))))
        return {"c1": fine, "c2": self._subsampled(self.s4, fine)}

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        return {"c1": (self.c1, self.norm1, self.s2, self.c3, self.norm3), "c2": (self.s4,)}

    def _subsampled(self, layer: nn.Module, x: Tensor) -> Tensor:
        result: Tensor = layer(x)
        return result if self.modern else self.bend(result)


def spread_by_fan_in(layer: nn.Conv2d | nn.Linear) -> None:
    """Start a layer as LeNet does: uniform in ±2.4 over the number of inputs of a unit, biases at 0.

    Source:
        LeCun et al. 1998, section III.B.
    """
    bound = _FAN_IN_SPREAD / layer.weight[0].numel()
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def lenet5(*, norm: Norm | None = None, padded: bool = True) -> LeNet:
    """Return the convolutions of LeNet-5 as published; see ``LeNet``."""
    return LeNet(norm=norm, padded=padded)


def lenet5_modern(*, norm: Norm | None = None, padded: bool = True) -> LeNet:
    """Return the convolutions of LeNet-5 with ReLU, pools of maxima and a full C3; torch's initial weights."""
    return LeNet(modern=True, norm=norm, padded=padded)
