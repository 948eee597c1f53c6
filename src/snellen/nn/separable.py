"""Convolutions that look at space and at channels one after the other."""

from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["SeparableConv2d"]


class SeparableConv2d(nn.Module):
    """A depthwise convolution, then a 1×1 over the channels, with nothing between them.

    Beside a full convolution it needs ``1 / out_channels + 1 / kernel²`` of the multiply-adds.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        kernel: Odd side in pixels.
        stride: Step in pixels, of the depthwise convolution.
        dilation: Distance in pixels between the places that neighbours in its kernel look at.

    Source:
        Sifre 2014 (thesis), section 6.2; as Chollet 2016 uses it, section 2, https://arxiv.org/abs/1610.02357; dilated:
        Chen et al. 2018, section 3.1, https://arxiv.org/abs/1802.02611.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels,
            in_channels,
            kernel,
            stride,
            dilation * (kernel // 2),
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        """Return the map of size ``ceil(size / stride)``."""
        result: Tensor = self.pointwise(self.depthwise(x))
        return result
