"""The largest of several affine maps, as an activation that is learned."""

from jaxtyping import Float
from torch import Tensor, nn

from snellen.errors import ConfigError, ShapeError

__all__ = ["Maxout"]


class Maxout(nn.Module):
    """The largest of every ``pieces`` neighbouring channels.

    The layer before it makes so many channels for each unit. A unit is then a convex function of that layer's input,
    piecewise linear, whose pieces are learned: ReLU is the case of two pieces of which one is 0 everywhere. No unit is
    ever silent, for one of its pieces always gets the gradient; the price is ``pieces`` times the weights.

    Args:
        pieces: Affine maps that a unit chooses from.

    Raises:
        ConfigError: If there are fewer than two.

    Source:
        Goodfellow et al. 2013, section 3, https://arxiv.org/abs/1302.4389.
    """

    def __init__(self, pieces: int = 2) -> None:
        super().__init__()
        if pieces < 2:
            raise ConfigError(f"a maxout unit has at least 2 pieces; got {pieces}.")
        self.pieces = pieces

    def forward(self, x: Float[Tensor, "batch channels *places"]) -> Float[Tensor, "batch units *places"]:
        """Return a map of ``channels / pieces`` channels.

        Raises:
            ShapeError: If the channels cannot be divided.
        """
        if x.shape[1] % self.pieces:
            raise ShapeError(
                f"the number of channels must be a multiple of pieces = {self.pieces}; got {x.shape[1]} channels."
            )
        # [batch, units * pieces, *places] -> [batch, units, pieces, *places]
        return x.reshape(x.shape[0], x.shape[1] // self.pieces, self.pieces, *x.shape[2:]).amax(2)

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"pieces={self.pieces}"
