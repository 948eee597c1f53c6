"""Channels of several groups, mixed."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import ShapeError

__all__ = ["ChannelShuffle", "channel_shuffle"]


def channel_shuffle(
    x: Float[Tensor, "batch channels height width"], groups: int
) -> Float[Tensor, "batch channels height width"]:
    """Return a map whose channels are dealt out: one of each group in turn.

    A grouped convolution behind it sees channels of every group of the one before.

    Args:
        x: Its depth is a multiple of ``groups``.
        groups: How many groups the channels are in.

    Raises:
        ShapeError: If the channels cannot be divided.

    Source:
        Zhang et al. 2017, section 3.1, https://arxiv.org/abs/1707.01083.
    """
    if groups < 1 or x.shape[1] % groups:
        raise ShapeError(f"the number of channels must be a multiple of groups = {groups}; got {x.shape[1]} channels.")
    return x if groups == 1 else functional.channel_shuffle(x, groups)


class ChannelShuffle(nn.Module):
    """``channel_shuffle`` as a layer.

    Args:
        groups: How many groups the channels are in.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Return the shuffled map."""
        return channel_shuffle(x, self.groups)

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"groups={self.groups}"
