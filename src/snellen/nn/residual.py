"""What residual blocks share: their short cuts, and how they begin."""

from typing import Literal, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PaddedShortCut", "ResidualBlock", "ShortCut", "begin_as_identity", "begin_at_zero"]

# Where depth or size change: a 1×1 convolution (option B of He et al. 2015), zeros for the new channels (option A),
# or no short cut at all, anywhere ("plain").
ShortCut = Literal["projection", "padded", "none"]


class PaddedShortCut(nn.Module):
    """A short cut without weights: every ``stride``-th pixel, and zeros for the channels that are new.

    Args:
        new_channels: How many channels are added.
        stride: Step in pixels.

    Source:
        He et al. 2015, section 3.3, option A, https://arxiv.org/abs/1512.03385.
    """

    def __init__(self, new_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.new_channels, self.stride = new_channels, stride

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        """Return the map of ``ceil(size / stride)`` cells."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"{self.new_channels} new channels, stride={self.stride}"


@runtime_checkable
class ResidualBlock(Protocol):
    """A block whose residual can be made zero."""

    def silence(self) -> None:
        """Make the residual zero, so that only the short cut passes, if there is one."""
        ...


def begin_at_zero(layer: nn.Module) -> None:
    """Set what a layer multiplies by to zero, if it is learned: frozen layers would never leave it."""
    weight = getattr(layer, "weight", None)
    if isinstance(weight, nn.Parameter):
        nn.init.zeros_(weight)


def begin_as_identity(network: nn.Module) -> None:
    """Let every residual block of a network with random weights begin as its short cut.

    Args:
        network: Changed in place: the scale of the last norm of each block is 0, or the weights of its last
            convolution where no norm follows that.

    Source:
        Goyal et al. 2017, section 5.1, https://arxiv.org/abs/1706.02677.
    """
    for module in network.modules():
        if isinstance(module, ResidualBlock):
            module.silence()
