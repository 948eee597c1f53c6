"""Convolutions that several networks are built from."""

from collections.abc import Callable
from math import ceil
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.nn.norm import Norm

__all__ = ["ConvNormAct", "Padding", "SameConv2d"]

Padding = Literal["torch", "same"]


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's ``SAME``: the surplus goes to the right and to the bottom.

    It differs from torch's symmetric padding only where the stride is above 1, where it shifts the sampling
    grid by up to half a stride; weights trained with one do not fit the other.

    Source:
        https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """

    def forward(self, input: Float[Tensor, "batch channels height width"]) -> Tensor:  # noqa: A002 - nn.Conv2d's name
        """Return the map of size ``ceil(size / stride)``."""
        padding, crops = [], []
        for axis in (0, 1):
            before, after = _same_padding(
                input.shape[axis - 2], self.kernel_size[axis], self.stride[axis], self.dilation[axis]
            )
            # One window too many at the start and cutting it off costs a third of padding the input (on
            # the depthwise convolutions of MobileNetV2): what is cut is a stride squared smaller.
            surplus = int(after > before)
            padding.append(before + surplus * self.stride[axis])
            crops.append(slice(surplus, surplus + ceil(input.shape[axis - 2] / self.stride[axis])))
        output = functional.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        return output[:, :, crops[0], crops[1]]


def _same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    reach = (ceil(size / stride) - 1) * stride + dilation * (kernel - 1) + 1
    total = max(reach - size, 0)
    return total // 2, total - total // 2


class ConvNormAct(nn.Sequential):
    """Convolution without bias, norm, activation; the output has the size ``ceil(size / stride)``.

    The keys are ``0`` (convolution) and ``1`` (norm), as in ``torchvision.ops.Conv2dNormActivation``.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        kernel: Odd size of the kernel in pixels.
        stride: Step in pixels.
        groups: Groups of channels that do not see one another.
        norm: Makes the norm layer from the number of channels.
        activation: Makes the activation, or None for none.
        padding: ``"torch"`` pads both sides alike, ``"same"`` as TensorFlow does.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        norm: Norm = nn.BatchNorm2d,
        activation: Callable[[], nn.Module] | None = nn.ReLU,
        padding: Padding = "torch",
    ) -> None:
        # At stride 1 both paddings agree, and the plain convolution is the faster one.
        conv = SameConv2d if padding == "same" and stride > 1 else nn.Conv2d
        layers: list[nn.Module] = [
            conv(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
            norm(out_channels),
        ]
        if activation is not None:
            layers.append(activation())
        super().__init__(*layers)
