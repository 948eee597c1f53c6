"""Normalisation of each place of a map by its own length."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["L2Norm"]

_FLOOR = 1e-12  # of a length; a place where every channel is 0 stays 0


class L2Norm(nn.Module):
    """Divides the channels at each place by their Euclidean length and gives each channel a learnt scale.

    Maps of different depths in a network differ in magnitude by orders; where they are judged together, or
    after a max pool whose output swings, this brings them to one scale.

    Args:
        channels: Depth of the map.
        scale: Where the learnt scales begin; 20 in SSD. With 1 the values would be tiny and learn slowly.

    Source:
        Liu et al. 2015 (ParseNet), section 3.3, eq. 1-3, https://arxiv.org/abs/1506.04579.
    """

    def __init__(self, channels: int, *, scale: float = 20.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Return the normalised map in the dtype it came in; lengths are summed in float32 at least."""
        exact = torch.promote_types(x.dtype, torch.float32)
        length: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=exact).clamp(min=_FLOOR)
        scale: Tensor = self.weight.to(x.dtype)[:, None, None]
        return x / length.to(x.dtype) * scale

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return str(len(self.weight))
