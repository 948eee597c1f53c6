"""A weight for each channel that depends on the whole map."""

from collections.abc import Callable
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Gate", "SqueezeExcitation", "squeezed_by"]

Gate = Callable[[int], nn.Module]  # number of channels -> layer that weighs them


class SqueezeExcitation(nn.Module):
    """Scales every channel by a number in 0..1 that is computed from the means of all channels.

    Any block can take one: behind the last norm of a residual, before the short cut is added, so that the short cut
    itself is not scaled. Keys and result are those of ``torchvision.ops.SqueezeExcitation``.

    Args:
        channels: Depth of the map.
        squeezed: Depth between the two fully connected layers.
        activation: Makes the activation between them.
        gate: Makes what turns the last numbers into 0..1.

    Source:
        Hu et al. 2017, section 3, eq. 2-4, https://arxiv.org/abs/1709.01507.
    """

    def __init__(
        self,
        channels: int,
        squeezed: int,
        *,
        activation: Callable[[], nn.Module] | None = None,
        gate: Callable[[], nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.activation = partial(nn.ReLU, inplace=True)() if activation is None else activation()
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate()

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        """Return the weighted map."""
        gates = self.gate(self.fc2(self.activation(self.fc1(x.mean((2, 3), keepdim=True)))))
        result: Tensor = x * gates
        return result


def squeezed_by(reduction: int, *, least: int = 1, divisor: int = 1) -> Gate:
    """Return what makes the ``SqueezeExcitation`` of a map whose means are squeezed to a share of its depth.

    Args:
        reduction: By how much the depth is divided; 16 in the paper.
        least: Smallest depth between the layers.
        divisor: The depth between the layers is rounded to a multiple of it.
    """

    def gate(channels: int) -> nn.Module:
        squeezed = max(least, int(channels / reduction + divisor / 2) // divisor * divisor)
        return SqueezeExcitation(channels, squeezed)

    return gate
