"""Local response normalisation, which came before batch norm."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ResponseNorm", "WithinChannelNorm"]


class ResponseNorm(nn.Module):
    """Response normalisation over neighbouring channels: what is strong here damps its neighbours.

    ``x / (k + alpha / size · sum of x² over size channels) ** beta``. It has no parameters, and is not batch norm: it
    looks at one place of one image.

    Args:
        size: Odd number of channels in the window; outside the map x is 0.
        alpha: Weight of the mean square, as torch and Caffe define it; the paper's alpha is this over ``size``.
        beta: Exponent.
        k: What is added.

    Source:
        Krizhevsky et al. 2012, section 3.3 (size 5, alpha 5 · 1e-4, beta 0.75, k 2).
    """

    def __init__(self, size: int, *, alpha: float, beta: float, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Return the normalised map."""
        reach = self.size // 2
        squares = functional.pad(x.square(), (0, 0, 0, 0, reach, reach))
        channels = x.shape[1]
        energy = sum(
            (squares[:, start : start + channels] for start in range(1, self.size)), start=squares[:, :channels]
        )
        return x * (self.k + energy * (self.alpha / self.size)).pow(-self.beta)

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class WithinChannelNorm(nn.Module):
    """Response normalisation over a window of the same channel.

    ``x · (1 + alpha · mean of x² over the window) ** -beta``; outside the map x is 0.

    Args:
        size: Odd side of the window in cells.
        alpha: Weight of the mean square.
        beta: Exponent.

    Source:
        Caffe's LRN layer with ``norm_region: WITHIN_CHANNEL``; Krizhevsky 2012, cuda-convnet.
    """

    def __init__(self, size: int, *, alpha: float, beta: float) -> None:
        super().__init__()
        self.size, self.alpha, self.beta = size, alpha, beta

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Return the normalised map."""
        energy = functional.avg_pool2d(x.square(), self.size, stride=1, padding=self.size // 2)
        return x * (1 + self.alpha * energy).pow(-self.beta)

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}"
