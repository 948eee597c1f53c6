"""Pools that keep the contract of maps of ``ceil(size / stride)`` cells."""

from math import inf

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CeilMaxPool2d"]


class CeilMaxPool2d(nn.Module):
    """A maximum over windows that begin at every second cell; the last ones may reach over the edge.

    On maps of even sides it is ``nn.MaxPool2d(kernel, 2, ceil_mode=True)``, which Caffe's networks were made with. On
    odd sides that one returns ``floor(size / 2)`` cells for a kernel of 3, this one ``ceil(size / 2)``.

    Args:
        kernel: Side of the window: 2 or 3.
    """

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels rows columns"]:
        """Return the map of size ``ceil(size / 2)``."""
        odd = (x.shape[-2] % 2, x.shape[-1] % 2)
        if any(odd) and self.kernel > 2:
            x = functional.pad(x, (0, odd[1], 0, odd[0]), value=-inf)
        return functional.max_pool2d(x, self.kernel, 2, ceil_mode=True)

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"{self.kernel}"
